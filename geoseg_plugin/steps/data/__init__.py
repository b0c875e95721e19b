"""The step Data: which rasters and bands, which labels, which area."""
