"""The shop's support built in other frameworks, each gated by the app's own cases."""
