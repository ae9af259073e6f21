"""P-values: how often chance alone gives numbers as far apart."""
