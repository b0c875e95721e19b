"""The step Tiles: training, validation and test areas, and the tiles in them."""
