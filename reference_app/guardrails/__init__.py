"""What stands between a customer, the model and the answer; each guard can be left out by a setting."""
