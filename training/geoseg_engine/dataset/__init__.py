"""Labels, split, tiles and what is wrong with them."""
