"""Where requests leave the process, one module a family of clients; each wraps what it finds imported."""
