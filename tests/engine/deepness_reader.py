"""A reader of model files by the rules of the QGIS plugin Deepness, as docs and field notes tell them: no code of ours.

Metadata are JSON texts; raw values become (x / 255 - mean) / std; windows of `tile_size` overlap by `tiles_overlap`
percent, and of each its middle is kept; values below `seg_thresh` (0.5 where a file has none) become 0, the largest
channel is the class, of a single channel what is not 0. `resolution` is turned into units of the layer's CRS.
"""

import json

import numpy as np
import onnxruntime

KEYS = {
    "model_type",
    "class_names",
    "resolution",
    "tile_size",
    "tiles_size",
    "tiles_overlap",
    "standardization_mean",
    "standardization_std",
    "seg_thresh",
    "seg_small_segment",
}
METRES = {"metre": 1.0, "degree": 111319.49079327358, "foot": 0.3048, "US survey foot": 0.30480060960122}
"""Metres of a map unit, as QGIS converts them."""


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def metadata(session):
    """The keys above, as JSON says them."""
    given = session.get_modelmeta().custom_metadata_map
    return {key: json.loads(given[key]) for key in KEYS if key in given}


def units_per_pixel(resolution_cm, unit):
    """Side of a pixel in units of a layer's CRS."""
    return resolution_cm / 100 * (1 / METRES[unit])


def tile_classes(session, tile):
    """Classes (rows, cols) of one window of raw values (channels, rows, cols)."""
    said = metadata(session)
    scaled = {"standardization_mean", "standardization_std"} <= said.keys()
    mean, std = (
        np.asarray(said[f"standardization_{key}"] if scaled else default, np.float32).reshape(-1, 1, 1)
        for key, default in (("mean", 0.0), ("std", 1.0))
    )
    scores = ((tile.astype(np.float32) / np.float32(255) - mean) / std).astype(np.float32)
    values = session.run(None, {session.get_inputs()[0].name: scores[None]})[0][0]
    single = values.ndim == 2 or len(values) == 1
    values = np.where(values < said.get("seg_thresh", 0.5), 0, values)
    if single:
        return (values.reshape(values.shape[-2:]) != 0).astype(np.uint8)
    return values.argmax(axis=0).astype(np.uint8)


def classes_of(path, image):
    """Classes of a whole image (channels, rows, cols) in windows that overlap, from the upper left corner on.

    Half of the overlap is cut from a window's sides, but from those at the upper and left edge of the image; beyond
    the others the windows are filled with zeros.
    """
    session = session_of(path)
    said = metadata(session)
    side = said["tile_size"]
    overlap = side * said["tiles_overlap"] // 100
    half, step = overlap // 2, side - overlap
    rows, cols = image.shape[1:]
    result = np.full((rows, cols), 255, np.uint8)
    padded = np.pad(image, ((0, 0), (0, side), (0, side)))
    for row in range(0, rows, step):
        for col in range(0, cols, step):
            found = tile_classes(session, padded[:, row : row + side, col : col + side])
            top, left = half if row else 0, half if col else 0
            kept = found[top : side - half, left : side - half]
            place = result[row + top : row + side - half, col + left : col + side - half]
            place[:] = kept[: place.shape[0], : place.shape[1]]
    return result
