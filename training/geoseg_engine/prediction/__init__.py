"""From a model to rasters of classes, confidence and whatever else it can tell."""
