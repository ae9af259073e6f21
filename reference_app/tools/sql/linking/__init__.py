"""The words of a question, linked to columns, values, amounts and periods."""
