"""The middle: which tests reach which stubs, what to ask for, and when to believe it."""
