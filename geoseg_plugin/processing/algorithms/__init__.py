"""The algorithms of the Toolbox, one a file."""
