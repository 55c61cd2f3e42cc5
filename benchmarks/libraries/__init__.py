"""Whole libraries, stubbed and healed: what does not come back is a fault of the plugin."""
