"""Stamps of what the app of a run is made of: its code, its variables, the files it reads, its packages."""
