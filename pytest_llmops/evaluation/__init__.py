"""A golden run from files to exit code, without pytest: what the plugin and `llmops run` both translate."""
