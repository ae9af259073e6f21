"""The tests, intervals and corrections that the gate rests on; none knows of a run."""
