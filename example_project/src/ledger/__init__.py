"""Bookkeeping for a very small firm."""
