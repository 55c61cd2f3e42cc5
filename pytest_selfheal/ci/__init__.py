"""What CI services show of a run, and the request that brings its patch to people.

All of it is made from the JSON report. The report's texts come from models and tests: they
are checked where they are read, and escaped for the place where each is written.
"""
