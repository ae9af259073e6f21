"""Whether a judge leans: by place, by length, to its own model family."""
