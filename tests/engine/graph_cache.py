"""Model files without tracing the same network twice: the graph is kept, weights and buffers are put into it.

Tracing takes seconds, and most tests that write a model write one of the same small networks. The engine compares
every file that it writes with the network, in ONNX Runtime and on real data, so a graph that did not fit would fail.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

BOOKKEEPING = vars(torch.nn.Module()).keys() - {"training"}


class GraphCache:
    """Stands for the exporter.

    Args:
        trace: writes the file of a module, with a sample of its input: what is called for a network not yet seen.
        folder: where the files are kept.
    """

    def __init__(self, trace: Callable[[torch.nn.Module, torch.Tensor, Path], None], folder: Path) -> None:
        self.trace, self.folder = trace, folder

    def __call__(self, module: torch.nn.Module, sample: torch.Tensor, path: Path) -> None:
        kept = self.folder / f"{hashlib.sha256(described(module, sample).encode()).hexdigest()}.onnx"
        if not kept.exists():
            self.trace(module, sample, path)
            partial = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(path, partial)
            partial.replace(kept)
            return
        model = onnx.load(kept)
        values = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for item in model.graph.initializer:
            if item.name in values:
                item.CopyFrom(numpy_helper.from_array(values[item.name].detach().numpy(), item.name))
        onnx.save(model, path)


def described(module: torch.nn.Module, sample: torch.Tensor) -> str:
    """Everything that a graph can depend on; values of weights and buffers and the size of the sample are not in it."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    settings = [
        (
            name,
            type(part).__qualname__,
            {key: value for key, value in vars(part).items() if key not in BOOKKEEPING},
        )
        for name, part in module.named_modules()
    ]
    shapes = [(name, value.shape, value.dtype) for name, value in tensors]
    return repr((sample.shape[1], sample.dtype, shapes, settings))
