"""Each sentence of an answer against its sources, and answers to yes/no questions: `supported`, `answers`."""
