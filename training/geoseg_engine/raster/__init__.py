"""Grids, and rasters read and written by window."""
