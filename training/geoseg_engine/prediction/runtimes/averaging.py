"""Several predictions of one window, averaged: test-time augmentation, members of an ensemble, MC dropout samples.

All combinations are predicted, and the mean of their calibrated probabilities decides (Lakshminarayanan et al. 2017,
arXiv:1612.01474). Their disagreement is the mutual information of class and prediction, H(mean p) - mean H(p): the part
of the uncertainty that more training data could remove (Houlsby et al. 2011, arXiv:1112.5745).

The output of a window is still that of the whole raster: a rotated window is aligned as the window is, and the masks of
dropout are drawn once per sample and layer, for whole channels, not for pixels.
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

Transform = tuple[int, int]
"""Quarter turns counter-clockwise (0..3), then 1 to mirror east and west, else 0."""
PredictFn = Callable[[Array, Window | None], Array]
"""Calibrated probabilities (classes, rows, cols) of z-scores (bands, rows, cols), or of the part that is kept."""
FLIPS: tuple[Transform, ...] = ((0, 0), (0, 1), (2, 1), (2, 0))
ROTATIONS: tuple[Transform, ...] = ((0, 0), (1, 0), (2, 0), (3, 0))
TRANSFORMS: dict[str, tuple[Transform, ...]] = {
    "none": FLIPS[:1],
    "flips": FLIPS,
    "all": (*FLIPS, (1, 0), (3, 0), (1, 1), (3, 1)),
}
COSINE, SINE = (1, 0, -1, 0), (0, 1, 0, -1)
MAX_LAYERS = 10_000
"""More layers of dropout than any network has: seeds of passes do not meet."""


class AveragedRuntime:
    """A runtime that averages several predictions under several transforms; see `averaged_runtime`.

    Attributes:
        title, name, precision, device: see `Runtime`.
        count: predictions that are averaged for every pixel.
    """

    def __init__(
        self,
        runtime: Runtime,
        predictors: Sequence[PredictFn],
        transforms: Sequence[Transform],
        directions: DirectionalBands,
        calibration: Calibration,
        with_disagreement: bool,
    ) -> None:
        """Average all `predictors` under all `transforms`; `runtime` is what they run on."""
        self.count = len(predictors) * len(transforms)
        self.title = f"{runtime.title}, mean of {self.count}"
        self.name, self.precision, self.device = runtime.name, runtime.precision, runtime.device
        self._predictors, self._transforms, self._directions = predictors, transforms, directions
        self._calibration, self._disagreement = calibration, with_disagreement

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """Return the output q of the mean.

        Args:
            scores: z-scores (bands, rows, cols).
            kept: part of the window that is returned; None is all of it.

        Returns:
            Output (classes, rows, cols), and one more channel, the disagreement, 0 to 1, if requested.
        """
        total: Array | None = None
        entropies: Array | None = None
        for transform in self._transforms:
            image = transformed(scores, transform, self._directions)
            part = kept and transformed_window(kept, scores.shape[1], scores.shape[2], transform)
            for predict in self._predictors:
                shares = transformed_back(predict(image, part), transform)
                total = shares.copy() if total is None else np.add(total, shares, out=total)
                if self._disagreement:
                    own = entropy(shares)
                    entropies = own if entropies is None else np.add(entropies, own, out=entropies)
        total = present(total, "the sum over transforms")
        total /= self.count
        if entropies is None:
            return decision_output(total, self._calibration)
        split = np.clip(entropy(total) - entropies / self.count, 0, 1)
        return np.concatenate([decision_output(total, self._calibration), split[None]])


def averaged_runtime(
    runtime: Runtime,
    model: ModelFile,
    tta: str,
    dropout_passes: int,
    with_disagreement: bool,
    log: Callable[[str], None] = lambda text: None,
    grid: Grid | None = None,
) -> Runtime:
    """Return a runtime of the mean of all transforms × members × samples; the runtime itself if nothing is averaged.

    The members of an ensemble are predicted one by one only for samples or disagreement: otherwise the ensemble gives
    their mean itself. Members and samples run in torch, whatever runs the model otherwise.

    Args:
        runtime: runtime of the model; gives device and, if it is torch, precision.
        model: the model file.
        tta: test-time augmentation, of `contract.VIEWS`; transforms that do not help are left out, see
            `trained_transforms` and `allowed_transforms`.
        dropout_passes: MC dropout samples; they replace the prediction without dropout. 0 is none.
        with_disagreement: add the channel of disagreement.
        log: receives what is averaged and what is left out.
        grid: grid of the prediction; None is that of the training.

    Raises:
        GeoSegError: `no_dropout` for a model without such layers, `no_disagreement` for a single prediction.
    """
    directions = DirectionalBands.of(
        model.recipe.bands, model.recipe.intermediates, grid or model.recipe.grid
    )
    transforms = allowed_transforms(tta, trained_transforms(model), directions, log)
    members = model.architecture.get("name") == ENSEMBLE and (with_disagreement or dropout_passes > 0)
    if len(transforms) == 1 and not members and not dropout_passes and not with_disagreement:
        return runtime
    if members or dropout_passes:
        runtime, predictors = _in_torch(runtime, model, members, dropout_passes)
    else:
        predictors = [_predict_fn(runtime, model.calibration)]
    found = AveragedRuntime(runtime, predictors, transforms, directions, model.calibration, with_disagreement)
    if with_disagreement and found.count == 1:
        raise GeoSegError(
            "no_disagreement",
            f"{model.path.name} gives a single prediction per pixel, so there is no disagreement.",
            "Choose MC dropout samples, a model of several folds, or flips for a network that was trained with them.",
        )
    what = _described(len(transforms), dropout_passes)
    log(f"{found.count} predictions per pixel are averaged{what}. This takes {found.count} times as long.")
    return found


def trained_transforms(model: ModelFile) -> tuple[Transform, ...]:
    """Return the transforms of a model's augmentation in training; all if its file does not state them.

    The output under other transforms was never evaluated. A model of single pixels (or of their neighbourhood in any
    order) has none: a mirror image would only turn north-facing slopes into south-facing ones.
    """
    kinds = (
        () if model.architecture.get("name") in BASELINES else model.trained.get("plan", {}).get("augment")
    )
    if kinds is None:
        return TRANSFORMS["all"]
    rotated = "turn" in kinds or "rotate" in kinds
    if "flip" in kinds:
        return TRANSFORMS["all"] if rotated else FLIPS
    return ROTATIONS if rotated else FLIPS[:1]


def allowed_transforms(
    tta: str,
    trained: Sequence[Transform],
    directions: DirectionalBands,
    log: Callable[[str], None] = lambda text: None,
) -> tuple[Transform, ...]:
    """Return the transforms that training used and that keep every band correct; the others are logged.

    Args:
        tta: test-time augmentation, of `contract.VIEWS`.
        trained: as of `trained_transforms`.
        directions: bands with a direction.
        log: receives why transforms are left out.
    """
    wanted = TRANSFORMS[tta]
    known = tuple(transform for transform in wanted if transform in trained)
    if not directions.allows_rotation:
        kept = known[:1]
    elif not directions.allows_quarter_rotation:
        kept = tuple(transform for transform in known if transform[0] % 2 == 0)
    else:
        kept = known
    if len(kept) < len(wanted):
        unknown = "the model was not trained with them" if len(known) < len(wanted) else ""
        why = ", and ".join(text for text in (unknown, directions.restriction()) if text)
        log(f"{len(wanted) - len(kept)} of {len(wanted)} transforms are left out: {why}.")
    return kept


def variant_count(model: ModelFile, tta: str, dropout_passes: int, grid: Grid | None = None) -> int:
    """Return the number of predictions per pixel: transforms that `averaged_runtime` uses, times MC dropout samples.

    Args:
        model: the model file.
        tta: test-time augmentation, of `contract.VIEWS`.
        dropout_passes: MC dropout samples.
        grid: grid of the prediction; None is that of the training.
    """
    directions = DirectionalBands.of(
        model.recipe.bands, model.recipe.intermediates, grid or model.recipe.grid
    )
    return len(allowed_transforms(tta, trained_transforms(model), directions)) * max(dropout_passes, 1)


def transformed(scores: Array, transform: Transform, directions: DirectionalBands) -> Array:
    """Return an image rotated counter-clockwise, then mirrored; components of directions rotate with it.

    Args:
        scores: z-scores (bands, rows, cols).
        transform: rotations by 90°, and whether to mirror.
        directions: bands with a direction.
    """
    turns, mirrored = transform
    if transform == FLIPS[0]:
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


def transformed_window(window: Window, height: int, width: int, transform: Transform) -> Window:
    """Return the position of a window in a transformed image.

    Args:
        window: part of the image.
        height, width: size of the image in pixels.
        transform: see `transformed`.
    """
    turns, mirrored = transform
    for _ in range(turns):
        window = Window(width - window.col - window.width, window.row, window.width, window.height)
        height, width = width, height
    return replace(window, col=width - window.col - window.width) if mirrored else window


def transformed_back(output: Array, transform: Transform) -> Array:
    """Undo a transform of an output (channels, rows, cols).

    Args:
        output: output for the transformed image.
        transform: see `transformed`.
    """
    turns, mirrored = transform
    return np.rot90(output[..., ::-1] if mirrored else output, -turns, axes=(1, 2))


def entropy(shares: Array) -> Array:
    """Return the Shannon entropy of (classes, …) divided by its maximum: 0 certain, 1 undecided."""
    positive = np.maximum(shares, np.finfo(np.float32).tiny)
    result: Array = -(shares * np.log(positive)).sum(axis=0) / shares.dtype.type(np.log(max(len(shares), 2)))
    return result


def decision_output(shares: Array, calibration: Calibration) -> Array:
    """Return the output q of calibrated probabilities p: the inverse of `calibrated`.

    Args:
        shares: probabilities (classes, rows, cols), 0 to 1.
        calibration: calibration of the model.
    """
    if not calibration.weights_classes:
        return shares
    weighted = shares * np.asarray(calibration.weights, shares.dtype).reshape(-1, 1, 1)
    result: Array = weighted / weighted.sum(axis=0)
    return result


class ChannelMask(nn.Module):
    """Dropout of whole channels (Gal & Ghahramani 2016, arXiv:1506.02142; Tompson et al. 2015, arXiv:1411.4280).

    The dropped channels depend only on sample and layer: every window, and every part of it, sees the same network, so
    windows put together equal the whole. Layers that drop single values in training drop channels here, for that
    reason.

    Attributes:
        number: number of the sample, from 0.
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
        random = torch.Generator().manual_seed(self.number * MAX_LAYERS + self._layer)
        kept = torch.rand(shape, generator=random) >= self._share
        return features * (kept / (1 - self._share)).to(features)


def replace_dropout(network: nn.Module) -> list[ChannelMask]:
    """Replace the layers with dropout by `ChannelMask`; return the new layers."""
    found: list[ChannelMask] = []
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout | nn.Dropout2d) and 0 < child.p < 1:
                found.append(ChannelMask(child.p, len(found)))
                setattr(module, name, found[-1])
    return found


def _in_torch(
    runtime: Runtime, model: ModelFile, members: bool, passes: int
) -> tuple[Runtime, list[PredictFn]]:
    """Each network's own calibrated probabilities, once or in every pass; of an ensemble all share one decision.

    Raises:
        GeoSegError: `no_dropout`.
    """
    network = None if onnx_only(model) else load_network(model.path)
    networks = [] if network is None else list(network.members) if members else [network]  # type: ignore[arg-type]
    masks = [replace_dropout(item) if passes else [] for item in networks]
    if passes and not any(masks):
        raise GeoSegError(
            "no_dropout",
            f"{model.path.name} has no layer with dropout: its samples would all be equal.",
            "Choose mirror images (flips) instead, or train with dropout.",
        )
    calibration = PLAIN if members else model.calibration
    precision = runtime.precision if runtime.name == "torch" else "float32"
    runtimes = [TorchRuntime(item, runtime.device, precision, calibration) for item in networks]
    predictors = [
        _predict_fn(one, calibration, its, number)
        for one, its in zip(runtimes, masks, strict=True)
        for number in range(max(passes, 1))
    ]
    return runtimes[0], predictors


def _described(transforms: int, passes: int) -> str:
    found = [
        *([f"{transforms} transforms"] if transforms > 1 else []),
        *([f"{passes} MC dropout samples"] if passes else []),
    ]
    return f" ({', '.join(found)})" if found else ""


def _predict_fn(
    runtime: Runtime, calibration: Calibration, masks: Sequence[ChannelMask] = (), number: int = 0
) -> PredictFn:
    def predict(scores: NDArray[Any], kept: Window | None) -> NDArray[Any]:
        for mask in masks:
            mask.number = number
        return calibrated(runtime.predict_window(scores, kept), calibration)

    return predict
