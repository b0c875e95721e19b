"""The one way from layers to the inputs of a job, for the panel and the Toolbox.

A snapshot is made on the main thread (`raster_snapshot`, `label_snapshot`, `area_snapshot`, `stack_snapshot`): plain
data, and exports that write copies of what the engine cannot read. `located` puts the copies into the folder of a job,
in any thread, and gives what the contract's jobs hold. Where the engine cannot open a raster's file, `RefusedRasters`
notes it, and the same snapshot is located again with a copy.
"""
