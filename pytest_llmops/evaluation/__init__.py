"""A golden run from files to exit code, without pytest; the plugin and `llmops run` are its doors."""
