"""From a model to maps, polygons and scores on held-out ground."""
