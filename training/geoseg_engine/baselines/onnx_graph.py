"""Building an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """A graph under construction, inside the model: a second copy of a forest would be hundreds of megabytes."""

    def __init__(self, made: onnx.GraphProto) -> None:
        self.made = made

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Append a node.

        Args:
            kind: operator.
            inputs: names of its inputs.
            output: name of its output; empty for a new one.
            **attributes: of the operator.

        Returns:
            The name of its output.
        """
        name = output or f"{kind.lower()}_{len(self.made.node)}"
        self.made.node.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """Append a constant.

        Args:
            value: number or array.
            dtype: NumPy type.

        Returns:
            Its name.
        """
        name = f"constant_{len(self.made.initializer)}"
        self.made.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name
