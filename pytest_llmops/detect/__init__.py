"""Personal data and secrets in texts: found, masked, replaced and kept out of results."""
