"""The red-team suite: attacks of our own, their disguises and places, and what came of them in numbers."""
