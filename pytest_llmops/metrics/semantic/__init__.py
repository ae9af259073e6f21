"""How near an answer is to the reference in meaning, as a model of language sees it."""
