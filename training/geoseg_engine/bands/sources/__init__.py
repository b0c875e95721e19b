"""The kinds of source that bands are taken from: one module per kind, listed in `registry`."""
