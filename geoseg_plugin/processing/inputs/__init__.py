"""Parameters of the Toolbox -> plain data: layers, bands, labels and areas that a job reads."""
