"""From windows to parts: over the device where it takes the network, else with z-scores and results of the host."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ..channel import Channel
from ..contract import Problem
from ..raster.stream import pump
from ..stacking.reader import StackReader
from .block_reader import BandReader
from .inference import Setup
from .on_device import agreement
from .on_device.pipeline import DevicePath, Step, steps, takes
from .parts import PartBuilder, Parts
from .result_layers import Layer, Piece, band_count, predict_block
from .task import PredictionTask
from .windows import Cut


@dataclass
class Computed:
    """What is known of the windows of a run.

    Attributes:
        pixels: of the parts that were computed.
        facts: for the result.
        warnings: for the result.
    """

    pixels: int
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)


def compute_parts(
    task: PredictionTask,
    parts: Parts,
    setup: Setup,
    stack: StackReader,
    todo: Sequence[int],
    channel: Channel,
) -> Computed:
    """Read, predict and keep parts window by window, with a cancel point between two windows.

    Args:
        task: the prediction.
        parts: where results are kept.
        setup: the network, ready to run.
        stack: bands of the recipe.
        todo: numbers of the parts to predict.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `missing_bands`, `out_of_memory`, `device_lost`, `disk_full`, …
        Cancelled: if the user stops.
    """
    total = sum(parts.units[index].height * parts.units[index].width for index in todo)
    found = Computed(total, {"device_agreement": None, "host_s": None, "host_bands": []})
    if not todo:
        return found
    reader = BandReader(stack, task.model, task.area, bool(task.job.beyond))
    cuts = ((index, cut) for index in todo for cut in setup.cuts(parts.units[index]))
    builder = PartBuilder(parts, band_count(task.layers))
    with ExitStack() as opened:
        path = _device_path(task, setup, stack, reader, found, channel, opened)
        report = _progress(total, channel)
        if path is None:
            _over_host(setup, reader, cuts, task.layers, builder, report, channel)
        else:
            _over_device(path, cuts, builder, report)
            found.facts |= {"host_s": path.seconds.as_dict(), "host_bands": path.derived}
    return found


def _device_path(
    task: PredictionTask,
    setup: Setup,
    stack: StackReader,
    reader: BandReader,
    found: Computed,
    channel: Channel,
    opened: ExitStack,
) -> DevicePath | None:
    """The way over the device, if it takes the network and agrees with the CPU on a window."""
    if not takes(setup, task.model, task.layers):
        return None

    def path(layers: tuple[Layer, ...]) -> DevicePath:
        return DevicePath(stack.recipe, task.model, setup, layers, task.area, channel.log)

    agreed = agreement.measured(path, task.model, setup, reader)
    if agreed is not None:
        found.facts["device_agreement"] = agreed.as_dict()
        channel.log(
            f"{agreed.same_classes:.3%} of the pixels of a window get the class of the CPU on {setup.runtime.device}."
        )
        if agreed.same_classes < agreement.USABLE:
            channel.log(
                "The CPU makes the results instead; the device computes the network alone.", "warning"
            )
            alone = agreement.of_network(task.model, setup, reader)
            found.warnings += alone.problems() if alone is not None else []
            return None
        found.warnings += agreed.problems()
    made = opened.enter_context(path(task.layers))
    if made.derived:
        channel.log(f"The CPU computes {', '.join(made.derived)}; all else is computed on the device.")
    return made


def _progress(total: int, channel: Channel) -> Callable[[int], None]:
    """Reports pixels that are done."""
    done, started = 0, time.monotonic()
    channel.progress("predict", 0, total)

    def report(pixels: int) -> None:
        nonlocal done
        done += pixels
        rate = done / 1e6 / max(time.monotonic() - started, 1e-9)
        channel.progress("predict", done, total, f"{rate:.2f} Mpx/s")

    return report


def _over_host(
    setup: Setup,
    reader: BandReader,
    cuts: Iterator[tuple[int, Cut]],
    layers: Sequence[Layer],
    builder: PartBuilder,
    report: Callable[[int], None],
    channel: Channel,
) -> None:
    def compute(item: tuple[int, Any]) -> tuple[int, Piece]:
        piece = predict_block(setup, item[1], layers, channel.log)
        report(piece.window.height * piece.window.width)
        return item[0], piece

    pump(cuts, lambda item: (item[0], reader.read(item[1])), compute, lambda item: builder.add(*item))


def _over_device(
    path: DevicePath,
    cuts: Iterator[tuple[int, Cut]],
    builder: PartBuilder,
    report: Callable[[int], None],
) -> None:
    def compute(item: Any) -> Any:
        step: Step = item[0]
        pending = path.compute(item)
        report(step.cut.core.height * step.cut.core.width)
        return step.index, pending

    def keep(item: Any) -> None:
        index, pending = item
        path.kept(pending, lambda piece: builder.add(index, piece))

    pump(steps(cuts), path.read, compute, keep, path.depth, path.readers)
