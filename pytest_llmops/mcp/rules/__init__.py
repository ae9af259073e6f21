"""What no tool definition should have, whether it changed or not."""
