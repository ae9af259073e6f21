"""Right answers with one fact changed, and right answers in other words: what a check of facts finds."""
