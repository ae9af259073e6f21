"""How good the app's tools are, measured; the app itself does not need it."""
