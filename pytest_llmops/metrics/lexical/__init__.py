"""What an answer has of the wording it should have: words, n-grams, form. No model."""
