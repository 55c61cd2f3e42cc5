"""Replies that cheat and replies that only look so, each judged in every sandbox."""
