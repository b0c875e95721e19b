"""Checks of labels against rasters before a training, with a layer of findings."""
