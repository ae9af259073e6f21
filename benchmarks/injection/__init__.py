"""Training and measuring the injection metric; `benchmarks/security.py` prints the measurements."""
