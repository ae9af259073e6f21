"""How far a metric agrees with people, as `llmops calibrate` shows it."""
