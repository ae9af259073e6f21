"""The knowledge: its sections, the index over them, and what an answer rests on."""
