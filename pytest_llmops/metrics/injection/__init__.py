"""Instructions to the model in what an app read or answered."""
