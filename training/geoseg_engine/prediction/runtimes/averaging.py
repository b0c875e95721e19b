"""Several answers to one window, averaged: mirror images and turns, members of an ensemble, passes of dropout.

All combinations are asked, and the mean of their calibrated probabilities decides (Lakshminarayanan et al. 2017,
arXiv:1612.01474). What they disagree on is the mutual information of class and answer, H(mean p) - mean H(p): the part
of the uncertainty that more training data could remove (Houlsby et al. 2011, arXiv:1112.5745).

A window's answer is still that of the whole raster: a turned window is aligned as the window is, and the masks of
dropout are drawn once a pass and layer, for whole channels, not for pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...contract import BASELINES, GeoSegError, Grid, present
from ...modelfile.calibration import PLAIN, Calibration, calibrated
from ...modelfile.directional_bands import DirectionalBands
from ...modelfile.reading import ModelFile, load_network, onnx_only
from ...models import ENSEMBLE
from ...raster.grid import Window
from .runtime import Array, Runtime
from .torch_runtime import TorchRuntime

View = tuple[int, int]
"""Quarter turns counter-clockwise (0..3), then 1 to mirror east and west, else 0."""
Voice = Callable[[Array, Window | None], Array]
"""Calibrated probabilities (classes, rows, cols) of z-scores (bands, rows, cols), or of the part that is kept."""
FLIPS: tuple[View, ...] = ((0, 0), (0, 1), (2, 1), (2, 0))
TURNS: tuple[View, ...] = ((0, 0), (1, 0), (2, 0), (3, 0))
VIEWS: dict[str, tuple[View, ...]] = {
    "none": FLIPS[:1],
    "flips": FLIPS,
    "all": (*FLIPS, (1, 0), (3, 0), (1, 1), (3, 1)),
}
COSINE, SINE = (1, 0, -1, 0), (0, 1, 0, -1)
LAYERS = 10_000
"""More layers of dropout than any network has: seeds of passes do not meet."""


class Averaged:
    """A runtime that asks several voices through several views; see `averaged`.

    Attributes:
        title, name, precision, device: see `Runtime`.
        count: predictions that are averaged for every pixel.
    """

    def __init__(
        self,
        runtime: Runtime,
        voices: Sequence[Voice],
        views: Sequence[View],
        directions: DirectionalBands,
        calibration: Calibration,
        with_disagreement: bool,
    ) -> None:
        """`runtime` is what the voices run on."""
        self.count = len(voices) * len(views)
        self.title = f"{runtime.title}, mean of {self.count}"
        self.name, self.precision, self.device = runtime.name, runtime.precision, runtime.device
        self._voices, self._views, self._directions = voices, views, directions
        self._calibration, self._disagreement = calibration, with_disagreement

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """Output q of the mean (classes, rows, cols); one more channel, the disagreement 0..1, if asked for."""
        total: Array | None = None
        unsure: Array | None = None
        for view in self._views:
            image = seen(scores, view, self._directions)
            part = kept and seen_window(kept, scores.shape[1], scores.shape[2], view)
            for voice in self._voices:
                shares = unseen(voice(image, part), view)
                total = shares.copy() if total is None else np.add(total, shares, out=total)
                if self._disagreement:
                    own = entropy(shares)
                    unsure = own if unsure is None else np.add(unsure, own, out=unsure)
        total = present(total, "the sum over views")
        total /= self.count
        if unsure is None:
            return decided(total, self._calibration)
        split = np.clip(entropy(total) - unsure / self.count, 0, 1)
        return np.concatenate([decided(total, self._calibration), split[None]])


def averaged(
    runtime: Runtime,
    model: ModelFile,
    tta: str,
    dropout_passes: int,
    with_disagreement: bool,
    log: Callable[[str], None] = lambda text: None,
    grid: Grid | None = None,
) -> Runtime:
    """A runtime of the mean of all views × members × passes; the runtime itself if nothing is asked for.

    An ensemble's members are asked one by one only for passes or disagreement: otherwise it gives their mean itself.
    Members and passes run in torch, whatever runs the model otherwise.

    Args:
        runtime: of the model; lends device and, if it is torch, precision.
        model: its file.
        tta: of `contract.VIEWS`; views that can do no good are left out, see `shown` and `allowed`.
        dropout_passes: passes with dropout on; they replace the pass without. 0 is none.
        with_disagreement: add the channel of disagreement.
        log: told what is averaged and what is left out.
        grid: that is predicted; None is the one of training.

    Raises:
        GeoSegError: `no_dropout` for a model without such layers, `no_disagreement` if there is but one answer.
    """
    directions = DirectionalBands.of(
        model.recipe.bands, model.recipe.intermediates, grid or model.recipe.grid
    )
    views = allowed(tta, shown(model), directions, log)
    members = model.architecture.get("name") == ENSEMBLE and (with_disagreement or dropout_passes > 0)
    if len(views) == 1 and not members and not dropout_passes and not with_disagreement:
        return runtime
    if members or dropout_passes:
        runtime, voices = _in_torch(runtime, model, members, dropout_passes)
    else:
        voices = [_voice(runtime, model.calibration)]
    found = Averaged(runtime, voices, views, directions, model.calibration, with_disagreement)
    if with_disagreement and found.count == 1:
        raise GeoSegError(
            "no_disagreement",
            f"{model.path.name} gives one answer to a pixel: there is nothing to disagree.",
            "Choose passes of dropout, a model of several folds, or flips for a network that was trained with them.",
        )
    what = _parts(len(views), dropout_passes)
    log(f"{found.count} answers to every pixel are averaged{what}: so many times the work.")
    return found


def shown(model: ModelFile) -> tuple[View, ...]:
    """The views in which a model knows the ground: those of its augmentation; all if its file does not say.

    To others it gives answers that training never judged. A model of pixels (and of what lies around them in any
    order) knows none: in a mirror image it sees only that slopes face north that faced south.
    """
    kinds = (
        () if model.architecture.get("name") in BASELINES else model.trained.get("plan", {}).get("augment")
    )
    if kinds is None:
        return VIEWS["all"]
    turned = "turn" in kinds or "rotate" in kinds
    if "flip" in kinds:
        return VIEWS["all"] if turned else FLIPS
    return TURNS if turned else FLIPS[:1]


def allowed(
    tta: str,
    shown: Sequence[View],
    directions: DirectionalBands,
    log: Callable[[str], None] = lambda text: None,
) -> tuple[View, ...]:
    """The views of one of VIEWS that training has shown and that leave every band right; others are logged."""
    wanted = VIEWS[tta]
    known = tuple(view for view in wanted if view in shown)
    if not directions.allows_rotation:
        kept = known[:1]
    elif not directions.allows_quarter_rotation:
        kept = tuple(view for view in known if view[0] % 2 == 0)
    else:
        kept = known
    if len(kept) < len(wanted):
        unknown = "training has not shown them" if len(known) < len(wanted) else ""
        why = ", and ".join(text for text in (unknown, directions.restriction()) if text)
        log(f"{len(wanted) - len(kept)} of {len(wanted)} views left out: {why}.")
    return kept


def variant_count(model: ModelFile, tta: str, dropout_passes: int, grid: Grid | None = None) -> int:
    """How often a model looks at each pixel of a grid: the views that `averaged` takes, times passes."""
    directions = DirectionalBands.of(
        model.recipe.bands, model.recipe.intermediates, grid or model.recipe.grid
    )
    return len(allowed(tta, shown(model), directions)) * max(dropout_passes, 1)


def seen(scores: Array, view: View, directions: DirectionalBands) -> Array:
    """The image turned counter-clockwise, then mirrored; components of directions turn with it."""
    turns, mirrored = view
    if view == FLIPS[0]:
        return scores
    image = np.rot90(scores, turns, axes=(1, 2))
    image = np.ascontiguousarray(image[..., ::-1] if mirrored else image)
    numbers = (COSINE[turns], SINE[turns], 1 - 2 * mirrored)
    tensor = torch.from_numpy(image)[None]
    moved = directions.rotate_components(
        tensor, *(torch.full((1,), number, dtype=tensor.dtype) for number in numbers)
    )
    result: Array = moved[0].numpy()
    return result


def seen_window(window: Window, height: int, width: int, view: View) -> Window:
    """Where a part of an image of that size lies in a view of it."""
    turns, mirrored = view
    for _ in range(turns):
        window = Window(width - window.col - window.width, window.row, window.width, window.height)
        height, width = width, height
    return replace(window, col=width - window.col - window.width) if mirrored else window


def unseen(answer: Array, view: View) -> Array:
    """An answer to a turned image, turned back."""
    turns, mirrored = view
    return np.rot90(answer[..., ::-1] if mirrored else answer, -turns, axes=(1, 2))


def entropy(shares: Array) -> Array:
    """Shannon entropy of (classes, …) over its largest value: 0 certain, 1 undecided."""
    positive = np.maximum(shares, np.finfo(np.float32).tiny)
    result: Array = -(shares * np.log(positive)).sum(axis=0) / shares.dtype.type(np.log(max(len(shares), 2)))
    return result


def decided(shares: Array, calibration: Calibration) -> Array:
    """Output q of calibrated probabilities p: the way back from `calibrated`."""
    if not calibration.weights_classes:
        return shares
    weighted = shares * np.asarray(calibration.weights, shares.dtype).reshape(-1, 1, 1)
    result: Array = weighted / weighted.sum(axis=0)
    return result


class ChannelMask(nn.Module):
    """Dropout of whole channels (Gal & Ghahramani 2016, arXiv:1506.02142; Tompson et al. 2015, arXiv:1411.4280).

    Which channels are dropped depends on pass and layer alone: every window, and every part of it, sees the same
    network, so that windows put together are the whole. Also layers that drop single values in training drop
    channels here, for that reason.

    Attributes:
        number: of the pass, from 0.
    """

    def __init__(self, share: float, layer: int) -> None:
        super().__init__()
        self.number = 0
        self._share, self._layer = share, layer

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, channels, rows, cols), or with channels last where there are no rows and cols."""
        axis = 1 if features.ndim == 4 else features.ndim - 1
        shape = [1] * features.ndim
        shape[axis] = features.shape[axis]
        random = torch.Generator().manual_seed(self.number * LAYERS + self._layer)
        kept = torch.rand(shape, generator=random) >= self._share
        return features * (kept / (1 - self._share)).to(features)


def masked(network: nn.Module) -> list[ChannelMask]:
    """Replace the layers of dropout that drop anything; gives what replaces them."""
    found: list[ChannelMask] = []
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout | nn.Dropout2d) and 0 < child.p < 1:
                found.append(ChannelMask(child.p, len(found)))
                setattr(module, name, found[-1])
    return found


def _in_torch(runtime: Runtime, model: ModelFile, members: bool, passes: int) -> tuple[Runtime, list[Voice]]:
    """Each network's own calibrated probabilities, once or in every pass; of an ensemble all share one decision.

    Raises:
        GeoSegError: `no_dropout`.
    """
    network = None if onnx_only(model) else load_network(model.path)
    networks = [] if network is None else list(network.members) if members else [network]  # type: ignore[arg-type]
    masks = [masked(item) if passes else [] for item in networks]
    if passes and not any(masks):
        raise GeoSegError(
            "no_dropout",
            f"{model.path.name} has no layer with dropout: its passes would all be equal.",
            "Choose mirror images (flips) instead, or train with dropout.",
        )
    calibration = PLAIN if members else model.calibration
    precision = runtime.precision if runtime.name == "torch" else "float32"
    runtimes = [TorchRuntime(item, runtime.device, precision, calibration) for item in networks]
    voices = [
        _voice(one, calibration, its, number)
        for one, its in zip(runtimes, masks, strict=True)
        for number in range(max(passes, 1))
    ]
    return runtimes[0], voices


def _parts(views: int, passes: int) -> str:
    found = [*([f"{views} views"] if views > 1 else []), *([f"{passes} passes of dropout"] if passes else [])]
    return f" ({', '.join(found)})" if found else ""


def _voice(
    runtime: Runtime, calibration: Calibration, masks: Sequence[ChannelMask] = (), number: int = 0
) -> Voice:
    def ask(scores: NDArray[Any], kept: Window | None) -> NDArray[Any]:
        for mask in masks:
            mask.number = number
        return calibrated(runtime.predict_window(scores, kept), calibration)

    return ask
