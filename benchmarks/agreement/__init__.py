"""What metrics say beside what people said: labelled sets, training of a scorer, a report."""
