"""The steps of the graph, and the prompts they ask with."""
