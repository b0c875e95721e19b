"""Jobs in the background of QGIS: the task, its runner, and the same for Processing."""
