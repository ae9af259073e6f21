"""What a gate is worth on a baseline: how often it is red for nothing, and which drop it would see."""
