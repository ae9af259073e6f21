"""The app built with other libraries, each behind the same golden cases."""
