"""Recognisers of each kind: secrets by shape, numbers by checksum, people by the words around them."""
