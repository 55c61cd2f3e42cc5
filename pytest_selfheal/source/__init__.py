"""Wing 1, Python source: find stubs, quote it, vet candidates, edit files."""
