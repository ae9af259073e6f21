"""Another revision of the repository: its files, and what a change loosened since."""
