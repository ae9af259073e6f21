"""What the gate can see on a golden set, and how often it is red for nothing."""
