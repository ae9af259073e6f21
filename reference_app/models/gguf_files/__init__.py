"""Files of the chat model: which are good, and the form that is computed."""
