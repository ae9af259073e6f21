"""Limits of providers: how many calls may be out at once, how fast they may follow, and who waits."""
