"""The model file: one .onnx that other programs can run and that our network can be rebuilt from.

The graph's input are z-scores, its output class probabilities as `calibration` decides. NaN becomes 0 and values are
clipped in the graph, so a reader without nodata handling is safe. Initialisers keep the names of the network's state,
nothing is fused.
Metadata have the keys that Deepness reads (every value a JSON string), ours the prefix `geoseg:`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ..contract import GeoSegError, Grid, LabelClass, encode
from ..models import Traits
from ..raster.grid import pixel_size
from .calibration import PLAIN, Calibration, Decision
from .stats import Statistics
from .third_party import map_unit_m

OPSET = 18
PREFIX = "network."
DEEPNESS_TILE_PX = 512
MAX_OVERLAP = 80
"""In percent: with more, a reader would compute nearly every pixel many times."""
TOLERANCE = 1e-4


class Exported(nn.Module):
    """The computation of the graph: clean, clip, network, calibrated softmax and decision."""

    def __init__(self, network: nn.Module, statistics: Statistics, calibration: Calibration) -> None:
        super().__init__()
        self.network, self.decision = network, Decision(calibration)
        low, high = statistics.z_limits()
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return q (batch, classes, rows, cols), see `calibration`, of z-scores (batch, bands, rows, cols)."""
        image = torch.where(torch.isnan(image), torch.zeros_like(image), image)
        image = torch.minimum(torch.maximum(image, self.low), self.high)  # type: ignore[arg-type]
        shares: Tensor = self.decision(self.network(image))
        return shares


def export(
    network: nn.Module,
    statistics: Statistics,
    metadata: dict[str, str],
    samples: Sequence[Tensor],
    path: Path,
    calibration: Calibration = PLAIN,
) -> None:
    """Write the model file; it is renamed to its path only after ONNX Runtime has returned what PyTorch returns.

    Args:
        network: trained, on the CPU.
        statistics: of the bands.
        metadata: key to JSON text.
        samples: real z-scores (batch, bands, rows, cols) in several shapes.
        path: of the .onnx.
        calibration: part of the graph and of the metadata.

    Raises:
        GeoSegError: `export_mismatch` if the two differ by more than TOLERANCE in any probability.
    """
    plain = network.eval().float().to(memory_format=torch.contiguous_format)
    module = Exported(plain, statistics, calibration).eval()
    partial = path.with_name(path.stem + ".part.onnx")
    try:
        _write(module, samples[0], partial)
        model = onnx.load(partial)
        _remove_source_info(model)
        onnx.helper.set_model_props(model, {**metadata, **own_metadata({"calibration": calibration})})
        model.producer_name = "GeoSeg"
        onnx.save(model, partial)
        worst = max_difference(module, partial, samples)
        if not worst <= TOLERANCE:
            raise GeoSegError(
                "export_mismatch",
                f"ONNX Runtime differs from PyTorch by {worst:.2g} in a probability.",
                "The checkpoint is kept. Please report this with the log.",
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _remove_source_info(model: onnx.ModelProto) -> None:
    """Remove what the exporter wrote about the code of each node: file names of this machine."""
    graph = model.graph
    parts = [*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info]
    parts += [node for function in model.functions for node in function.node]
    for part in (model, graph, *parts, *model.functions):
        part.ClearField("doc_string")
        if part is not model and "metadata_props" in part.DESCRIPTOR.fields_by_name:
            part.ClearField("metadata_props")


def max_difference(module: nn.Module, path: Path, samples: Sequence[Tensor]) -> float:
    """Return the largest difference of a probability between PyTorch and ONNX Runtime on the CPU.

    Args:
        module: of the graph.
        path: of the .onnx.
        samples: z-scores (batch, bands, rows, cols).

    Returns:
        0..1; infinite where an output is not finite.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for sample in samples:
        with torch.no_grad():
            expected = module(sample).numpy()
        given = session.run(None, {"image": sample.numpy()})[0]
        difference = float(np.abs(np.asarray(given) - expected).max())
        worst = max(worst, difference if math.isfinite(difference) else math.inf)
    return worst


def _write(module: nn.Module, sample: Tensor, path: Path) -> None:
    """Trace and write. Graph optimisation is off: it would fuse batch normalisation into the convolutions."""
    dynamic = torch.export.Dim.DYNAMIC
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (sample,),
                path,
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                optimize=False,
                input_names=["image"],
                output_names=["probabilities"],
                dynamic_shapes={"image": {0: dynamic, 2: dynamic, 3: dynamic}},
                verbose=False,
            )
    finally:
        logger.setLevel(level)


def deepness_metadata(
    grid: Grid, classes: Sequence[LabelClass], statistics: Statistics, facts: Traits
) -> dict[str, str]:
    """Return the metadata that the QGIS plugin Deepness reads. It applies (x / 255 - mean) / std to raw values.

    It converts `resolution`, in cm, to units of the layer's CRS and resamples to square pixels of that side, so the
    value written is the side of our pixel in units of its CRS, not its length on the ground; of oblong pixels, that of
    a square of the same area.

    Args:
        grid: of the training data.
        classes: in the order of the output channels.
        statistics: of the bands.
        facts: reach and alignment of the network.

    Returns:
        Key to JSON text.
    """
    width, height = pixel_size(grid)
    values = {
        "model_type": "Segmentor",
        "class_names": {str(item.id): item.name for item in classes},
        "resolution": 100 * math.sqrt(width * height) * map_unit_m(grid.crs),
        "tile_size": DEEPNESS_TILE_PX,
        "tiles_size": DEEPNESS_TILE_PX,
        "tiles_overlap": deepness_overlap(facts),
        "standardization_mean": [value / 255 for value in statistics.mean],
        "standardization_std": [value / 255 for value in statistics.std],
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def deepness_overlap(facts: Traits) -> int:
    """Return the percentage by which windows overlap, so that a reader that keeps their middles gets our classes.

    Half of it covers the reach, and the distance of windows is a multiple of the alignment; a reader rounds down to
    whole pixels. Where no percentage does both, that which covers most of the reach.
    """
    for percent in range(1, MAX_OVERLAP + 1):
        overlap_px = DEEPNESS_TILE_PX * percent // 100
        if overlap_px >= 2 * facts.reach_px and (DEEPNESS_TILE_PX - overlap_px) % facts.align_px == 0:
            return percent
    return min(math.ceil(100 * 2 * facts.reach_px / DEEPNESS_TILE_PX), MAX_OVERLAP)


def own_metadata(values: dict[str, Any]) -> dict[str, str]:
    """Return our own metadata, with their prefix."""
    return {f"geoseg:{key}": json.dumps(encode(value), ensure_ascii=False) for key, value in values.items()}
