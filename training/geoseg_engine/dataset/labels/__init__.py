"""Labels on the grid of a stack: burning polygons and class rasters, suspicious labels, and what is wrong with them."""
