"""Which query a question asks for: what it names, and the known shape that is nearest to it."""
