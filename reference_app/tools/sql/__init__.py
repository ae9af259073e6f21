"""Questions about the shop's figures, answered from its database through guarded SQL."""
