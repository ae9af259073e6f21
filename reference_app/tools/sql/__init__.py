"""Questions about the shop's figures, answered with one SELECT that a chat model writes."""
