"""Apps outside of this process: behind a URL, or a command. They are called as a function would be."""
