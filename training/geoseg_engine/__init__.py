"""GeoSeg engine: from rasters and polygons to a segmentation model and a map."""

__version__ = "0.1.0"
