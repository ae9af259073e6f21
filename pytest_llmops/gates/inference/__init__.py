"""How pass rates and runs of a baseline are tested, and how both channels share one error budget."""
