"""Lies and right answers, by hand and from labelled sets: what `supported` finds."""
