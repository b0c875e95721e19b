"""Safe reading of ONNX files: any error that a library raises for a damaged file becomes one message.

Files may also be harmful. ONNX can keep weights in other files, named by a path: a path that leads out of the model's
folder is rejected, before any runtime follows it.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from ..contract import GeoSegError

T = TypeVar("T")
DAMAGE = (
    DecodeError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Errors of onnx and protobuf for bytes that they did not write; text that is not UTF-8 is a ValueError."""
NUMERIC = {
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.DOUBLE: 8,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.INT64: 8,
    onnx.TensorProto.INT32: 4,
}
"""Types of a network's weights, and their bytes."""
MAX_AXES = 8
LOCATION = "location"


def read_guarded(path: Path, read: Callable[[Path], T]) -> T:
    """Return what `read` makes of a model file.

    Args:
        path: of the file.
        read: reads it.

    Raises:
        GeoSegError: `model_missing` without a file, `not_our_model` for one that is empty or that `read` fails on.
    """
    if not path.is_file():
        raise GeoSegError(
            "model_missing",
            f"The model file {path} does not exist.",
            "Choose it again; it may have been moved or deleted.",
        )
    if not path.stat().st_size:
        raise not_our_model(path, "the file is empty")
    try:
        return read(path)
    except DAMAGE as error:
        raise not_our_model(path, "it is not an ONNX file", f"{type(error).__name__}: {error}") from error


def not_our_model(path: Path, why: str, details: str = "") -> GeoSegError:
    """Return the error `not_our_model` for a file that is not a GeoSeg model.

    Args:
        path: of the file.
        why: the reason, to end a sentence.
        details: for the log.
    """
    return GeoSegError(
        "not_our_model",
        f"{path.name} is not a GeoSeg model: {why}.",
        "Choose a model.onnx that GeoSeg has trained.",
        details,
    )


def read_graph(path: Path) -> onnx.ModelProto:
    """Read the graph of a model file; weights in other files are not read.

    Raises:
        GeoSegError: as `read_guarded`.
    """
    return read_guarded(path, lambda file: onnx.load(file, load_external_data=False))


def check_external_data(path: Path) -> None:
    """Check that a model has no weights outside its folder, or in parts of files that do not exist.

    A graph is read only where the bytes hold the word by which ONNX names a file: that of a forest is millions of
    nodes.

    Raises:
        GeoSegError: `not_our_model` with the path.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(LOCATION.encode()) < 0:
            return
    for tensor in all_tensors(read_graph(path)):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
            _check_location(path, {entry.key: entry.value for entry in tensor.external_data})


def all_tensors(model: onnx.ModelProto) -> Iterator[Any]:
    """Yield every tensor of a model: of its graph, of graphs in its nodes and of its functions."""
    graphs: list[Any] = [model.graph]
    nodes: list[Any] = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        for graph in graphs:
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
        graphs = []
        for node in nodes:
            for item in node.attribute:
                yield from (item.t, *item.tensors)
                for sparse in (item.sparse_tensor, *item.sparse_tensors):
                    yield from (sparse.values, sparse.indices)
                graphs += [item.g] if item.HasField("g") else []
                graphs += item.graphs
        nodes = []


def weights_of(path: Path, prefix: str) -> dict[str, onnx.TensorProto]:
    """Return the initialisers whose name starts with a prefix, by the rest of the name.

    Args:
        path: of the model.
        prefix: of the names.

    Raises:
        GeoSegError: as `read_guarded`; `not_our_model` for one that is no array of numbers in the file itself.
    """
    found = {}
    for item in read_graph(path).graph.initializer:
        if not item.name.startswith(prefix):
            continue
        if item.data_type not in NUMERIC or len(item.dims) > MAX_AXES or any(side < 0 for side in item.dims):
            raise not_our_model(path, f"its weights '{item.name}' are not an array of numbers")
        if item.data_location == onnx.TensorProto.EXTERNAL:
            raise not_our_model(path, f"its weights '{item.name}' are in another file")
        found[item.name.removeprefix(prefix)] = item
    return found


def array_of(path: Path, item: onnx.TensorProto) -> NDArray[Any]:
    """Return the numbers of an initialiser, as an array of its own.

    Args:
        path: of the model, for the message.
        item: the initialiser.

    Raises:
        GeoSegError: `not_our_model` where the count of numbers is not that of its shape.
    """
    return read_guarded(path, lambda _: np.array(onnx.numpy_helper.to_array(item)))


def _check_location(path: Path, entry: dict[str, str]) -> None:
    named = entry.get(LOCATION, "")
    for kind in (PurePosixPath, PureWindowsPath):
        place = kind(named)
        if not named or place.is_absolute() or place.drive or ".." in place.parts:
            raise not_our_model(path, f"its weights are in '{named[:80]}', outside its folder")
    file = path.parent / named
    if file.is_symlink() or not file.is_file():
        raise not_our_model(path, f"its weights are in '{named[:80]}', which is not in its folder")
    numbers = [entry.get(key, "0") for key in ("offset", "length")]
    if not all(number.isascii() and number.isdigit() and len(number) < 19 for number in numbers):
        raise not_our_model(path, f"its weights have no valid offset in '{named[:80]}'")
    if sum(map(int, numbers)) > file.stat().st_size:
        raise not_our_model(path, f"its weights extend past the end of '{named[:80]}'")
