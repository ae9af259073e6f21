"""How good the adapter is on a fresh draw, and how much damage to it the gate sees."""
