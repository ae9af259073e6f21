"""The metric `injection`: the scan of `metrics/injection`, and a judge for what the scan leaves undecided."""
