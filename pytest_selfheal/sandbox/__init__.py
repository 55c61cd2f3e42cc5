"""Wing 3: running tests where they can do no harm.

A launcher (`docker`, `landlock`) starts a confined process and gives the host two byte
streams. Everything else is common: `parked` speaks to the process, `inside` is what
runs in it, `conclude` turns what came back into an outcome.
"""
