"""What the planner may call."""
