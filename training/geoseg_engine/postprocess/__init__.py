"""From classes of pixels to maps: cleaned rasters, polygons."""
