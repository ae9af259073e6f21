"""One small file a family, each a batch in and scores out; the registry names them by import path."""
