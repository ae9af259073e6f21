"""Guards of tool calls: each a function of a call or one of its arguments that returns why it is refused."""
