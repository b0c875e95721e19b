"""A model in int8: calibrated on training tiles of its own dataset, used only if the validation IoU hardly changes.

Weights are quantised by channel, activations by the range they have on the tiles (Jacob et al. 2018, "Quantization and
training of neural networks for efficient integer-arithmetic-only inference"). The layers that make the logits stay in
float32: probabilities then have no steps.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from ...contract import GeoSegError, decode, parse_json
from ...modelfile.metadata import read_metadata
from ...modelfile.reading import ModelFile
from ...outputs import whole_file
from ...scores.metrics import scores
from ..training_tiles import Tile, TrainingTiles, open_training_tiles, tile_confusion
from .onnx_runtime import OnnxRuntime

QUANTISED = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "Concat", "Relu", "Add", "Resize")
KEY = "geoseg:int8"
Log = Callable[[str], None]


@dataclass(frozen=True)
class Int8Scores:
    """Scores of an int8 graph and what it was made from; stored in its metadata.

    Attributes:
        source: SHA-256 of the model file.
        float32, int8: mean IoU on the validation tiles.
        pixels: labelled validation pixels that were compared.
    """

    source: str
    float32: float
    int8: float
    pixels: int

    @property
    def loss(self) -> float:
        """Return the mean IoU that int8 loses; negative if it gains."""
        return self.float32 - self.int8

    def sentence(self) -> str:
        """Return the scores as a sentence for the log."""
        change = f"from {self.float32:.4f} to {self.int8:.4f}"
        return f"int8 changes the mean IoU on {self.pixels} validation pixels {change}"


def quantized(model: ModelFile, max_loss: float, log: Log) -> tuple[Path, float] | None:
    """Return the model's int8 graph, from its folder or made now, and the mean IoU it loses.

    Args:
        model: one of our networks.
        most_loss: maximum loss of mean IoU on validation tiles.
        log: receives the result.

    Returns:
        Path and loss; None if int8 is not to be used.
    """
    path = int8_path(model.path)
    try:
        found = read_scores(path, model) or _make(model, path, max_loss, log)
    except GeoSegError as error:
        log(f"int8 is not used: {error.message}")
        return None
    if found.loss > max_loss:
        log(f"int8 is not used: {found.sentence()}; at most {max_loss:g} may be lost.")
        return None
    log(f"{found.sentence()}; {path.name} is used.")
    return path, found.loss


def int8_path(model: Path) -> Path:
    """Return the path of a model's int8 graph, beside the model."""
    return model.with_name(f"{model.stem}.int8.onnx")


def read_scores(path: Path, model: ModelFile) -> Int8Scores | None:
    """Return the scores of an int8 graph that was made before.

    Args:
        path: path of the graph.
        model: the model that it must be made from.

    Returns:
        The scores; None if there is no graph of this model.
    """
    if not path.is_file():
        return None
    try:
        tags = read_metadata(path)
        found = decode(Int8Scores, parse_json(tags[KEY], KEY)) if KEY in tags else None
    except (ValueError, DecodeError, GeoSegError):
        return None
    return found if found and found.source == digest(model.path) else None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(model: ModelFile, path: Path, max_loss: float, log: Log) -> Int8Scores:
    """Quantise and judge; the graph gets its name only if it may be used.

    Raises:
        GeoSegError: as `open_training_tiles`, `TrainingGround.tiles`, `whole_file`; `quantisation` if the library is
        missing
            or refuses the graph.
    """
    with open_training_tiles(model) as tiles, tempfile.TemporaryDirectory(prefix="geoseg-int8-") as scratch:
        log("int8: calibrating on training tiles of the model's dataset.")
        trial = Path(scratch) / "int8.onnx"
        quantise(model.path, tiles, trial)
        log("int8: comparing it with float32 on validation tiles.")
        found = compare_scores(model, trial, tiles)
        if found.loss <= max_loss:
            graph = onnx.load(trial)
            onnx.helper.set_model_props(graph, {KEY: json.dumps(asdict(found))})
            mine = path.with_name(f"{path.stem}.{socket.gethostname()}-{os.getpid()}.onnx")
            with whole_file(mine) as partial:  # several shards may make it at the same time
                onnx.save(graph, partial)
            mine.replace(path)
    return found


def compare_scores(model: ModelFile, trial: Path, tiles: TrainingTiles) -> Int8Scores:
    """Return the mean IoU of both graphs on the validation tiles.

    Args:
        model: the model file, in float32.
        trial: path of the int8 graph.
        tiles: tiles of its dataset.
    """
    plain, quick = OnnxRuntime(model.path), OnnxRuntime(trial, precision="int8")
    matrices = np.zeros((2, len(model.classes), len(model.classes)), np.int64)
    for tile in tiles.tiles("validation"):
        for matrix, runtime in zip(matrices, (plain, quick), strict=True):
            matrix += tile_confusion(tile, runtime.predict_window(tile.scores), len(model.classes))
    before, after = (float(scores(matrix, model.classes)["miou"] or 0) for matrix in matrices)
    return Int8Scores(digest(model.path), round(before, 6), round(after, 6), int(matrices[0].sum()))


def quantise(model: Path, tiles: TrainingTiles, path: Path) -> None:
    """Write the graph with its convolutions in int8 (QDQ form, which ONNX Runtime and OpenVINO read).

    Args:
        model: path of the model file.
        tiles: tiles of its dataset, for the ranges of activations.
        path: path of the int8 graph.

    Raises:
        GeoSegError: `quantisation`.
    """
    fused = path.with_name("fused.onnx")
    try:
        library = importlib.import_module("onnxruntime.quantization")
        shapes = importlib.import_module("onnxruntime.quantization.shape_inference")
        logging.getLogger("root").setLevel(logging.ERROR)
        shapes.quant_pre_process(str(model), str(fused), skip_symbolic_shape=True)
        library.quantize_static(
            str(fused),
            str(path),
            _Tiles(tiles),
            quant_format=library.QuantFormat.QDQ,
            per_channel=True,
            activation_type=library.QuantType.QUInt8,
            weight_type=library.QuantType.QInt8,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=last_convolutions(onnx.load(fused)),
        )
    except (ImportError, RuntimeError, ValueError, TypeError) as error:
        raise GeoSegError(
            "quantisation",
            f"{model.name} cannot be quantised.",
            "Choose the precision 'auto'.",
            f"{type(error).__name__}: {error}",
        ) from error


class _Tiles:
    """Calibration tiles in the form that ONNX Runtime's calibration asks for."""

    def __init__(self, tiles: TrainingTiles) -> None:
        self._tiles: Iterator[Tile] = tiles.tiles("train")

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input of the graph, None after the last."""
        tile = next(self._tiles, None)
        return None if tile is None else {"image": tile.scores[None]}


def last_convolutions(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions that no other convolution follows."""
    makers = {name: node for node in graph.graph.node for name in node.output}
    waiting = [item.name for item in graph.graph.output]
    found, seen = [], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in makers:
            continue
        seen.add(name)
        if makers[name].op_type == "Conv":
            found.append(makers[name].name)
        else:
            waiting += makers[name].input
    return found
