"""Models that judge answers: prompts, one client, strict parsing, panels."""
