"""Polygons of class rasters: traced, joined, simplified, written."""
