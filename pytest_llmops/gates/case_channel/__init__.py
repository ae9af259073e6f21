"""Did one case break? Its own repeats against those of the baseline."""
