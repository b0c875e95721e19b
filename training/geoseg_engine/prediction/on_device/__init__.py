"""Prediction in which the host only decodes and compresses: everything between is computed on the device.

`raw_bands` reads the numbers of the files as they are, `scores` makes z-scores of them, `codes` the results of every
pixel, `copies` moves both ways beside the computation, `pipeline` puts them together, `agreement` compares a window
with the ordinary path.
"""
