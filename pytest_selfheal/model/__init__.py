"""Wing 2, the model: what it is asked, what it replies, who answers and within what limits.

Importing any module of this package starts no client and reads no file; the `openai`
library is imported by `openai_model` when the first request is near.
"""
