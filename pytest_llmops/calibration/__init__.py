"""How far a metric or a judge agrees with people, and where it is biased."""
