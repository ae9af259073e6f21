"""The shop's support, or its tools alone, in other frameworks; each is gated by the app's own cases."""
