"""What a change loosens of its own gate, seen beside the merge base."""
