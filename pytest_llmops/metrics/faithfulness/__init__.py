"""Is what an answer says in its contexts? Claims, what could support them, and a small model."""
