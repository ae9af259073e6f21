"""What makes a clean result sound: canaries that must be found, and a limit of time."""
