"""The shop's documents: their sections, the vectors of these, and the search."""
