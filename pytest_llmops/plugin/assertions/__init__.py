"""The fixtures and markers of ordinary tests."""
