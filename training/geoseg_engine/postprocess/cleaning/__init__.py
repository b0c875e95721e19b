"""Cleaning of class rasters: filters in windows, and patches of the whole raster."""
