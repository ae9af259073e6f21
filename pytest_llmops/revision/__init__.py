"""Another revision of the repository: its files, and the gate that they were."""
