"""The command line: one question, a chat, or an HTTP endpoint."""
