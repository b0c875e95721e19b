"""From layers and polygons to a map, by the dependency graph of the contract: only what is out of date is done."""
