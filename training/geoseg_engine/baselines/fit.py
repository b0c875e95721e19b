"""The recipe of a baseline, from top to bottom: pixels, classifier, calibration, model file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from .. import __version__
from ..channel import Channel
from ..contract import IGNORE, PROTOCOL, SAVING_PHASE, Dataset, ForestJob, Problem, encode, write_json
from ..dataset.datasets import read_dataset
from ..dataset.split.distance import warnings_for
from ..dataset.subset import with_bands
from ..modelfile import calibration
from ..modelfile.calibration import Calibration
from ..modelfile.description import describe
from ..modelfile.export import export, own_metadata
from ..modelfile.stac import write_sidecar
from ..modelfile.validation_data import MIN_PIXELS, MIN_REGIONS, ValidationCounter, ValidationData
from ..models import build
from ..models.spectral import MaximumLikelihood
from ..models.texture import feature_count
from ..outputs import prepare_folder
from ..raster.grid import windows
from ..scores.metrics import confusion, scores
from . import forest as trees
from . import forest_onnx, spectral_fit, time_estimate
from .forest_onnx import save_forest
from .importance import importance
from .pixels import (
    COUNTED_PX,
    TRAIN,
    VALIDATION,
    VALIDATION_PIXELS,
    Array,
    Samples,
    count_labels,
    draw,
    refuse_single,
)

MODEL_FILE, METRICS_FILE, IMPORTANCE_FILE = "model.onnx", "metrics.json", "importance.json"
TILE_PX = 64
WORDS = {
    "forest": "random forest",
    "maximum_likelihood": "maximum likelihood",
    "spectral_angle": "spectral angle",
}


@dataclass(frozen=True)
class Fitted:
    """A classifier of pixels.

    Attributes:
        logits: of features (pixels, features) -> (pixels, classes).
        architecture: for the model file.
        settings: what was chosen, for metrics.json.
        model: a RandomForestClassifier, or a network.
        impurity: of a forest, importance of every feature.
    """

    logits: Callable[[Array], NDArray[Any]]
    architecture: dict[str, Any]
    settings: dict[str, Any]
    model: Any
    impurity: NDArray[np.float64] | None = None


@dataclass
class Reach:
    """What prediction by windows must know of a baseline."""

    reach_px: int
    align_px: int = 1
    tile_exact: bool = True


def run(job: ForestJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Fit a baseline on a dataset; leave model.onnx, metrics.json and importance.json in the output folder.

    Raises:
        GeoSegError: `unknown_band`, `one_class`, `no_training_pixels`, `export_mismatch`, …
        Cancelled: if the user stops; nothing is left then.
    """
    started = time.monotonic()
    whole, dataset_folder = read_dataset(folder / job.dataset)
    dataset = with_bands(whole, job.bands)
    if job.dry_run:
        return described(job, dataset, dataset_folder)
    output = folder / job.output
    prepare_folder(output)
    channel.send(
        "hello",
        protocol=PROTOCOL,
        engine=__version__,
        versions={"torch": str(torch.__version__)},
        device="CPU",
        device_memory_mb=0,
    )
    samples = draw(dataset, whole, dataset_folder, job.texture_px, job.pixels, job.seed, channel)
    of_dataset = warnings_for(dataset, reach_of(job.texture_px))
    warnings = [*of_dataset, *samples.problems, *label_warnings(dataset, samples)]
    for problem in warnings[len(of_dataset) :]:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    channel.log(sentence(job, dataset, len(samples.train)))
    validation = validation_of(dataset, dataset_folder)
    fitted = fit(job, dataset, samples, validation, channel)
    decision, judged, calibrated = judge(job, dataset, fitted, samples, validation, channel)
    worth = importance(dataset, samples, fitted.logits, decision, fitted.impurity, job.seed, channel)
    channel.send("progress", phase=SAVING_PHASE, done=0, total=1, rate="")
    summary = {
        "miou": judged["miou"],
        "scores": judged,
        "split": "validation",
        "cancelled": False,
        "calibration_sentence": calibrated,
        "device": "CPU",
        "precision": "float32",
        "train_pixels": len(samples.train),
        "validation_pixels": len(samples.validation),
        "seconds": round(time.monotonic() - started, 2),
        "settings": fitted.settings,
        "architecture": fitted.architecture,
        "job": encode(job),
    }
    write_model(job, dataset, samples, fitted, decision, warnings, summary, output / MODEL_FILE)
    write_json(output / METRICS_FILE, summary)
    write_json(output / IMPORTANCE_FILE, worth)
    for kind, name in (("model", MODEL_FILE), ("metrics", METRICS_FILE), ("importance", IMPORTANCE_FILE)):
        channel.artifact(kind, (output / name).resolve())
    return {
        "model": str(output / MODEL_FILE),
        **{key: value for key, value in summary.items() if key not in ("job", "architecture")},
        "importance": worth,
        "warnings": warnings,
    }


def described(job: ForestJob, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """What a dry run returns: nothing is read but labels and split."""
    counts = count_labels(dataset, folder)
    refuse_single(counts[TRAIN], dataset)
    pixels = min(int(counts[TRAIN].sum()), job.pixels)
    facts = Reach(reach_of(job.texture_px))
    validation = min(int(counts[VALIDATION].sum()), VALIDATION_PIXELS)
    told, expected_s = [sentence(job, dataset, pixels)], None
    if job.method == "forest":
        bands = len(dataset.recipe.bands)
        like = time_estimate.made_up(len(dataset.classes), feature_count(bands, job.texture_px))
        ground = validation_of(dataset, folder)
        expected_s, text = time_estimate.sentence(searching(job, ground), bands, like, pixels, validation)
        told += [text, *unsearched(job, ground)]
    return {
        "plan": {"method": job.method, "texture_px": list(job.texture_px), "pixels": pixels},
        "reasons": told,
        "expected_s": expected_s,
        "facts": asdict(facts),
        "train_pixels": int(counts[TRAIN].sum()),
        "validation_pixels": int(counts[VALIDATION].sum()),
        "precision": "float32",
        "device": "CPU",
        "warnings": warnings_for(dataset, facts.reach_px),
    }


def validation_of(dataset: Dataset, folder: Path) -> ValidationData:
    """How much validation data a dataset has, read window by window."""
    grid = dataset.recipe.grid
    counter = ValidationCounter(grid.height, grid.width, len(dataset.classes))
    with rasterio.open(folder / dataset.labels) as labels, rasterio.open(folder / dataset.split) as split:
        for window in windows(grid, COUNTED_PX):
            ids = labels.read(1, window=window.rasterio)
            ids[split.read(1, window=window.rasterio) != VALIDATION] = IGNORE
            counter.add(window.row, window.col, ids)
    return counter.counted()


def sentence(job: ForestJob, dataset: Dataset, pixels: int) -> str:
    """What will be done, in words."""
    bands = len(dataset.recipe.bands)
    features = feature_count(bands, job.texture_px)
    texture = f" and their texture, {features} features" if job.texture_px else ""
    return (
        f"Fitting {WORDS[job.method]} on {pixels} train pixels of {bands} bands{texture}, even over classes."
    )


def reach_of(texture_px: Sequence[int]) -> int:
    """How far a baseline looks around a pixel."""
    return max(texture_px, default=1) // 2


def label_warnings(dataset: Dataset, samples: Samples) -> list[Problem]:
    """Classes without train pixels; a dataset without validation pixels."""
    found = [
        Problem(
            "class_without_training_pixels",
            f"Class '{item.name}' has no training pixel: the model will never predict it.",
            "Label some in the train blocks, or split again with another seed.",
            "warning",
        )
        for item, pixels in zip(dataset.classes, samples.counts, strict=True)
        if not pixels
    ]
    if not samples.validation_px:
        found.append(
            Problem(
                "no_validation_pixels",
                "No labelled pixel belongs to the validation split: nothing is searched or calibrated.",
                "Give validation a share of the blocks.",
                "warning",
            )
        )
    return found


def fit(
    job: ForestJob, dataset: Dataset, samples: Samples, validation: ValidationData, channel: Channel
) -> Fitted:
    """The classifier that the job asks for."""
    bands, classes = len(dataset.recipe.bands), len(dataset.classes)
    architecture = {
        "name": job.method,
        "bands": bands,
        "classes": classes,
        "texture_px": list(job.texture_px),
    }
    if job.method == "forest":
        return _fit_forest(job, dataset, samples, validation, architecture, channel)
    network = build(architecture).eval()
    settings: dict[str, Any] = {"method": job.method}
    if isinstance(network, MaximumLikelihood):
        train = (samples.train, samples.train_truth)
        judged = (samples.validation, samples.validation_truth)
        pooling = spectral_fit.found_pooling(network, train, judged, dataset.classes) if job.search else 0.0
        spectral_fit.fit_gaussians(network, *train, pooling)
        settings["pooling"] = pooling
        channel.log(f"Covariances: {pooling:.0%} of what all classes share, by the validation pixels.")
    else:
        origin = spectral_fit.origin(samples.statistics, job.texture_px)
        spectral_fit.fit_angles(network, samples.train, samples.train_truth, origin)  # type: ignore[arg-type]
    return Fitted(partial(spectral_fit.pixel_logits, network), architecture, settings, network)


def _fit_forest(
    job: ForestJob,
    dataset: Dataset,
    samples: Samples,
    validation: ValidationData,
    architecture: dict[str, Any],
    channel: Channel,
) -> Fitted:
    like, sizes = (samples.train, samples.train_truth), (len(samples.train), len(samples.validation))
    for text in unsearched(job, validation):
        channel.log(text)
    job = searching(job, validation)
    channel.log(time_estimate.sentence(job, len(dataset.recipe.bands), like, *sizes)[1])
    classes = len(np.unique(samples.train_truth))
    settings, begun = trees.first_settings(job, samples.train.shape[1], len(samples.train), classes), None
    if job.search:
        best = trees.search(job, samples, dataset.classes, settings, channel, validation.weighted)
        settings, begun = best.settings, best.forest
    channel.log(f"Growing {settings.trees} trees: {settings.words()}.")
    grown = trees.grow(
        settings,
        samples.train,
        samples.train_truth,
        job.seed,
        lambda done: channel.progress("growing trees", done, settings.trees),
        begun,
    )

    def logits(pixels: Array) -> NDArray[Any]:
        return forest_onnx.logits(trees.probabilities(grown, pixels, len(dataset.classes)))

    return Fitted(
        logits,
        {**architecture, "trees": settings.trees, "features": samples.train.shape[1]},
        {"method": job.method, **asdict(settings)},
        grown,
        grown.feature_importances_,
    )


def searching(job: ForestJob, validation: ValidationData) -> ForestJob:
    """The job, without its search where validation data are too few to choose by."""
    return replace(job, search=job.search and validation.decides)


def unsearched(job: ForestJob, validation: ValidationData) -> list[str]:
    """Why a search that was asked for is left out, if it is."""
    if not job.search or validation.decides or not validation.total:
        return []
    return [
        f"Nothing is searched: too few validation data ({validation.amount()}; "
        f"{MIN_REGIONS * MIN_PIXELS} pixels in {MIN_REGIONS} are needed), the usual settings are taken."
    ]


def judge(
    job: ForestJob,
    dataset: Dataset,
    fitted: Fitted,
    samples: Samples,
    validation: ValidationData,
    channel: Channel,
) -> tuple[Calibration, dict[str, Any], str]:
    """Calibration, scores of validation pixels with it (without any, of nothing), and what it did in a sentence."""
    logits = fitted.logits(samples.validation)
    truth = samples.validation_truth
    found = Calibration()
    if job.calibrate and len(truth):
        learned = [pixels > 0 for pixels in samples.counts]
        found = calibration.fit(logits, truth, learned=learned, weighted=validation.weighted)
    few = validation.few_objects(dataset.classes) if job.calibrate else ""
    text = calibration.sentence(found, dataset.classes, few)
    channel.log(text)
    ids = calibration.output(logits.T, found).argmax(axis=0).astype(np.uint8)
    result = scores(confusion(truth, ids, len(dataset.classes)), dataset.classes)
    if result["miou"] is not None:
        channel.log(f"Mean IoU {result['miou']:.3f} on {len(truth)} validation pixels.")
    return found, result, text


def write_model(
    job: ForestJob,
    dataset: Dataset,
    samples: Samples,
    fitted: Fitted,
    decision: Calibration,
    warnings: list[Problem],
    summary: dict[str, Any],
    path: Path,
) -> None:
    """The model file, with everything that prediction needs to know."""
    facts = Reach(reach_of(job.texture_px))
    trained = {key: value for key, value in summary.items() if key not in ("scores", "architecture")}
    metadata = describe(
        dataset,
        samples.statistics,
        fitted.architecture,
        facts,
        TILE_PX,
        summary["scores"],
        warnings,
        trained,
    )
    if job.method == "forest":
        graph = partial(
            forest_onnx.forest_graph,
            fitted.model, samples.statistics, job.texture_px, len(dataset.classes), decision,
        )  # fmt: skip
        save_forest(graph, fitted.model, {**metadata, **own_metadata({"calibration": decision})}, path)
        write_sidecar(path)
        return
    random = torch.Generator().manual_seed(job.seed)
    bands = len(dataset.recipe.bands)
    tiles = [torch.randn((batch, bands, rows, cols), generator=random) for batch, rows, cols in SHAPES]
    tiles[1][:, :, :3, :5] = torch.nan
    export(fitted.model, samples.statistics, metadata, tiles, path, decision)
    write_sidecar(path)


SHAPES = ((2, 40, 48), (1, 48, 48), (3, 48, 40))
"""Of the tiles that the exported model is held against: batch, rows, columns."""
