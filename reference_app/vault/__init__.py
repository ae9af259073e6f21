"""Personal data behind tokens: encrypted, opened only by an investigator, and every opening is in a log."""
