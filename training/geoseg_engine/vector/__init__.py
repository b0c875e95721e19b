"""Polygons, areas and GeoPackages."""
