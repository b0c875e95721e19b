"""The split of labelled pixels into train, validation and test: by blocks, polygons or folds."""
