"""How good the adapter is, beside its base."""
