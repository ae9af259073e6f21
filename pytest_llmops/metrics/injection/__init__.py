"""Instructions to the model in texts that an app read or answered."""
