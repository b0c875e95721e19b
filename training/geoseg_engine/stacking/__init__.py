"""From a recipe to aligned bands on one grid."""
