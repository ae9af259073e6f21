"""Whether a query may run: parsed, checked against lists, and written anew."""
