"""What people and machines read of a run: terminal, JSON, HTML, patch.

Every text that a model, a test or a source file had a hand in is cleaned where it is
written: control characters for the terminal and JSON reasons, markup for HTML.
"""
