"""GeoSeg engine: from rasters and polygons to a segmentation model and a map."""

import os
import sys

from .contract.environment import drop_foreign

__version__ = "0.1.0"

if "qgis" not in sys.modules:  # QGIS imports the contract alone, and the variables are its own
    drop_foreign(os.environ)
