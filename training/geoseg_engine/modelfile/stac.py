"""The sidecar of a model: a STAC item with the Machine Learning Model extension (MLM 1.4.0), for catalogues.

It repeats the metadata of the model file in the terms of that extension, and is written beside it as
model.stac.json. Bands are listed twice: MLM requires them of the item, STAC 1.1 allows that only where an asset has
them. The further requirements of MLM 1.5.0 hold as well: what has bands has a dimension of that name, nothing else has.
"""

from __future__ import annotations

import datetime
import math
import re
from pathlib import Path
from typing import Any

import onnx
import pyproj

from ..bands.expressions import formula
from ..contract import EXPRESSION, Band, GeoSegError, Grid, LabelClass, write_json
from ..raster.geodesy import pixel_size_m
from ..raster.grid import grid_bounds
from ..stacking.extent import reprojected_bounds
from .export import PREFIX
from .reading import ModelFile, onnx_only, read_model

STAC_VERSION = "1.1.0"
EXTENSION = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
TASKS = ["semantic-segmentation"]
BAND_FORMAT = "geoseg"
"""Format of the expression of a computed band: as in its recipe."""


def sidecar_path(model: Path) -> Path:
    """Return model.stac.json beside model.onnx."""
    return model.with_suffix(".stac.json")


def write_sidecar(model: Path) -> Path:
    """Write the sidecar of a finished model file and return its path.

    Raises:
        GeoSegError: as `read_model`.
    """
    path = sidecar_path(model)
    described = read_model(model)
    write_json(path, stac_item(described, 0 if onnx_only(described) else parameter_count(model)))
    return path


def parameter_count(model: Path) -> int:
    """Return the number of trained parameters: numbers of the graph under the names of the network's state."""
    held = onnx.load(model, load_external_data=False).graph.initializer
    return sum(math.prod(entry.dims) for entry in held if entry.name.startswith(PREFIX))


def stac_item(model: ModelFile, trained_numbers: int = 0) -> dict[str, Any]:
    """Return the STAC item of a model of ours, as plain data.

    Args:
        model: its metadata.
        trained_numbers: number of trained parameters; 0 leaves it out.
    """
    grid = model.recipe.grid
    bands = [band.name for band in model.recipe.bands]
    created = _created(model)
    name = slug(str(model.trained.get("dataset", "")) or "model")
    properties = {
        "datetime": created,
        "description": f"Gives {', '.join(entry.name for entry in model.classes)} from {', '.join(bands)}.",
        "gsd": round(math.sqrt(math.prod(pixel_size_m(grid, grid.height / 2, grid.width / 2))), 6),
        "bands": [{"name": band} for band in bands],
        "mlm:name": f"GeoSeg {name}",
        "mlm:architecture": str(model.architecture["name"]),
        "mlm:tasks": TASKS,
        "mlm:framework": "ONNX",
        "mlm:framework_version": onnx.__version__,
        "mlm:memory_size": model.path.stat().st_size,
        "mlm:accelerator": None,
        "mlm:input": [_input(model)],
        "mlm:output": [_output(model)],
        **({"mlm:total_parameters": trained_numbers} if trained_numbers else {}),
    }
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSION],
        "id": f"geoseg-{name}-{re.sub('[^0-9]', '', created)}",
        **footprint(grid),
        "properties": properties,
        "links": [],
        "assets": {
            "model": {
                "href": f"./{model.path.name}",
                "type": "application/octet-stream; framework=onnx",
                "title": "Network, classes, bands and statistics in one file",
                "roles": ["mlm:model"],
                "mlm:artifact_type": "onnx",
                "bands": [{"name": band} for band in bands],
            }
        },
    }


def footprint(grid: Grid) -> dict[str, Any]:
    """Return geometry and bbox of the training area in degrees; no geometry where its CRS is not on the globe."""
    try:
        west, south, east, north = reprojected_bounds(grid_bounds(grid), grid.crs, "EPSG:4326")
    except (GeoSegError, pyproj.exceptions.ProjError):
        return {"geometry": None}
    south, north = max(south, -90.0), min(north, 90.0)
    if east <= 180:
        return {"bbox": [west, south, east, north], "geometry": _box(west, south, east, north)}
    halves = [_box(west, south, 180.0, north), _box(-180.0, south, east - 360, north)]
    return {
        "bbox": [west, south, east - 360, north],
        "geometry": {"type": "MultiPolygon", "coordinates": [half["coordinates"] for half in halves]},
    }


def slug(text: str) -> str:
    """Return a name of letters, digits, `-` and `_`."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", text).strip("-_") or "class"


def _input(model: ModelFile) -> dict[str, Any]:
    statistics = model.statistics
    return {
        "name": "image",
        "bands": [_band(band) for band in model.recipe.bands],
        "input": {
            "shape": [-1, len(model.recipe.bands), model.tile_px, model.tile_px],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "description": f"Rows and columns may be any multiple of {model.align_px}. NaN stands for no value.",
        "value_scaling": [
            {"type": "z-score", "mean": mean, "stddev": std}
            for mean, std in zip(statistics.mean, statistics.std, strict=True)
        ],
        "resize_type": None,
        "pre_processing_function": None,
    }


def _output(model: ModelFile) -> dict[str, Any]:
    return {
        "name": "probabilities",
        "tasks": TASKS,
        "result": {
            "shape": [-1, len(model.classes), model.tile_px, model.tile_px],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "description": "The largest entry of a pixel is its class.",
        "classification:classes": [_class(entry) for entry in model.classes],
        "post_processing_function": None,
    }


def _band(band: Band) -> dict[str, Any]:
    """A band by its name; how it is computed, if it is."""
    if not band.derive:
        return {"name": band.name}
    if band.derive == EXPRESSION:
        return {
            "name": band.name,
            "format": BAND_FORMAT,
            "expression": {"formula": formula(band), "inputs": band.inputs},
        }
    made = {"derive": band.derive, "source": band.source, "parameters": band.parameters}
    return {"name": band.name, "format": BAND_FORMAT, "expression": made}


def _class(entry: LabelClass) -> dict[str, Any]:
    return {
        "value": entry.id,
        "name": slug(entry.name),
        "description": entry.name,
        "color_hint": entry.color.lstrip("#").upper(),
    }


def _created(model: ModelFile) -> str:
    """When the model was made, in UTC as STAC writes it."""
    text = str(model.trained.get("created", ""))
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        when = datetime.datetime.fromtimestamp(model.path.stat().st_mtime, datetime.UTC)
    return when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}
