"""The recipe of a baseline, from top to bottom: pixels, classifier, calibration, model file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
from ..modelfile.reading import FAST, FOREST, ModelFile, read_model
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
from .features import bands_of_features, reach_of
from .forest_onnx import save_forest
from .importance import importance
from .pixels import (
    COUNTED_PX,
    TRAIN,
    VALIDATION,
    Array,
    Samples,
    check_two_classes,
    count_labels,
    draw,
    validation_pixels,
)

MODEL_FILE, METRICS_FILE, IMPORTANCE_FILE = "model.onnx", "metrics.json", "importance.json"
TILE_PX = 64
METHOD_NAMES = {
    FOREST: "random forest",
    FAST: "fast model",
    "maximum_likelihood": "maximum likelihood",
    "spectral_angle": "spectral angle",
}


@dataclass(frozen=True)
class Fitted:
    """A classifier of pixels.

    Attributes:
        logits: from features (pixels, features) to (pixels, classes).
        architecture: for the model file.
        settings: what was chosen, for metrics.json.
        model: a RandomForestClassifier, or a network.
        impurity: of a forest, importance per feature.
    """

    logits: Callable[[Array], NDArray[Any]]
    architecture: dict[str, Any]
    settings: dict[str, Any]
    model: Any
    impurity: NDArray[np.float64] | None = None


def run(job: ForestJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Fit a baseline on a dataset and write model.onnx, metrics.json and importance.json.

    Args:
        job: method and settings; 0 is automatic.
        folder: of the job; its paths are relative to it.
        channel: gets events; cancel point.

    Returns:
        Path of the model, scores, importance and warnings; of a dry run the plan and the expected time.

    Raises:
        GeoSegError: `unknown_band`, `one_class`, `no_training_pixels`, `export_mismatch`, …
        Cancelled: if the user stops; nothing is written then.
    """
    started, given = time.monotonic(), job
    job = trees.settled(job)
    whole, dataset_folder = read_dataset(folder / job.dataset)
    dataset = with_bands(whole, job.bands)
    if job.dry_run:
        return dry_run_result(job, dataset, dataset_folder)
    output = folder / job.output
    prepare_folder(output)
    validated = read_model(folder / job.settings_from) if job.settings_from else None
    channel.send(
        "hello",
        protocol=PROTOCOL,
        engine=__version__,
        versions={"torch": str(torch.__version__)},
        device="CPU",
        device_memory_mb=0,
    )
    samples = draw(job, dataset, whole, dataset_folder, channel)
    of_dataset = warnings_for(dataset, reach_of(job).reach_px)
    warnings = [*of_dataset, *samples.problems, *label_warnings(dataset, samples, validated is not None)]
    for problem in warnings[len(of_dataset) :]:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    channel.log(fit_message(job, dataset, len(samples.train)))
    validation = validation_of(dataset, dataset_folder)
    fitted = fit(job, dataset, samples, validation, channel, validated.trained if validated else None)
    decision, scored, calibrated = (
        kept_evaluation(validated, channel)
        if validated
        else evaluate(job, dataset, fitted, samples, validation, channel)
    )
    worth = importance(dataset, samples, fitted.logits, decision, fitted.impurity, job, channel)
    channel.send("progress", phase=SAVING_PHASE, done=0, total=1, rate="")
    summary = summarise(given, samples, fitted, scored, calibrated, time.monotonic() - started)
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


def summarise(
    job: ForestJob,
    samples: Samples,
    fitted: Fitted,
    scored: dict[str, Any],
    calibrated: str,
    seconds: float,
) -> dict[str, Any]:
    """Return the content of metrics.json.

    Args:
        job: method and settings.
        samples: training and validation pixels.
        fitted: the classifier.
        scored: scores of the validation pixels.
        calibrated: the calibration in a sentence.
        seconds: wall time up to now.
    """
    return {
        "miou": scored["miou"],
        "scores": scored,
        "split": "validation",
        "cancelled": False,
        "calibration_sentence": calibrated,
        "device": "CPU",
        "precision": "float32",
        "train_pixels": len(samples.train),
        "validation_pixels": len(samples.validation),
        "seconds": round(seconds, 2),
        "settings": fitted.settings,
        "architecture": fitted.architecture,
        "job": encode(job),
    }


def dry_run_result(job: ForestJob, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Return the result of a dry run; only labels and split are read.

    Args:
        job: method and settings.
        dataset: with the bands to use.
        folder: paths of the dataset are relative to it.
    """
    counts = count_labels(dataset, folder)
    check_two_classes(counts[TRAIN], dataset)
    pixels = min(int(counts[TRAIN].sum()), job.pixels)
    facts = reach_of(job)
    validation = min(int(counts[VALIDATION].sum()), validation_pixels(job))
    reasons, expected_s = [fit_message(job, dataset, pixels)], None
    if job.method == FOREST:
        bands = len(dataset.recipe.bands)
        like = time_estimate.synthetic_pixels(len(dataset.classes), feature_count(bands, job.texture_px))
        available = validation_of(dataset, folder)
        expected_s, text = time_estimate.estimate_message(
            with_possible_search(job, available), bands, like, pixels, validation
        )
        reasons += [text, *no_search_message(job, available)]
    return {
        "plan": {"method": job.method, "texture_px": list(job.texture_px), "pixels": pixels},
        "reasons": reasons,
        "expected_s": expected_s,
        "facts": asdict(facts),
        "train_pixels": int(counts[TRAIN].sum()),
        "validation_pixels": int(counts[VALIDATION].sum()),
        "precision": "float32",
        "device": "CPU",
        "warnings": warnings_for(dataset, facts.reach_px),
    }


def validation_of(dataset: Dataset, folder: Path) -> ValidationData:
    """Return the amount of validation data of a dataset, read window by window.

    Args:
        dataset: labels and split.
        folder: paths of the dataset are relative to it.
    """
    grid = dataset.recipe.grid
    counter = ValidationCounter(grid.height, grid.width, len(dataset.classes))
    with rasterio.open(folder / dataset.labels) as labels, rasterio.open(folder / dataset.split) as split:
        for window in windows(grid, COUNTED_PX):
            ids = labels.read(1, window=window.rasterio)
            ids[split.read(1, window=window.rasterio) != VALIDATION] = IGNORE
            counter.add(window.row, window.col, ids)
    return counter.counted()


def fit_message(job: ForestJob, dataset: Dataset, pixels: int) -> str:
    """Return what will be fitted, in a sentence.

    Args:
        job: method and texture.
        dataset: its bands.
        pixels: training pixels that are used.
    """
    bands = len(dataset.recipe.bands)
    features = len(bands_of_features(job, bands))
    texture = f" and their texture, {features} features" if features > bands else ""
    return (
        f"Fitting {METHOD_NAMES[job.method]} on {pixels} training pixels of {bands} bands{texture}, balanced."
    )


def label_warnings(dataset: Dataset, samples: Samples, validated: bool = False) -> list[Problem]:
    """Return warnings for classes without training pixels and for a dataset without validation pixels.

    Args:
        dataset: its classes.
        samples: pixels per class.
        validated: whether an earlier run has validated the settings, so that no validation pixel is needed.
    """
    found = [
        Problem(
            "class_without_training_pixels",
            f"Class '{item.name}' has no training pixel: the model will never predict it.",
            "Label some in the training blocks, or split again with another seed.",
            "warning",
        )
        for item, pixels in zip(dataset.classes, samples.counts, strict=True)
        if not pixels
    ]
    if not samples.validation_px and not validated:
        found.append(
            Problem(
                "no_validation_pixels",
                "No labelled pixel belongs to the validation split: there is no search and no calibration.",
                "Assign some blocks to validation.",
                "warning",
            )
        )
    return found


def fit(
    job: ForestJob,
    dataset: Dataset,
    samples: Samples,
    validation: ValidationData,
    channel: Channel,
    validated: dict[str, Any] | None = None,
) -> Fitted:
    """Fit the classifier of the job.

    Args:
        job: method and settings.
        dataset: bands and classes.
        samples: training and validation pixels.
        validation: amount of validation data.
        channel: gets messages; cancel point.
        validated: facts of an earlier run whose settings are kept; None finds them.
    """
    found = (validated or {}).get("settings") or {}
    found = found if found.get("method") == job.method else {}
    bands, classes = len(dataset.recipe.bands), len(dataset.classes)
    architecture = {
        "name": job.method,
        "bands": bands,
        "classes": classes,
        **({} if job.method == FAST else {"texture_px": list(job.texture_px)}),
    }
    if job.method in (FOREST, FAST):
        return _fit_forest(job, dataset, samples, validation, architecture, channel, found)
    network = build(architecture).eval()
    settings: dict[str, Any] = {"method": job.method}
    if isinstance(network, MaximumLikelihood):
        train = (samples.train, samples.train_truth)
        scored = (samples.validation, samples.validation_truth)
        pooling = found.get("pooling")
        if pooling is None:
            pooling = (
                spectral_fit.best_pooling(network, train, scored, dataset.classes) if job.search else 0.0
            )
        spectral_fit.fit_gaussians(network, *train, pooling)
        settings["pooling"] = pooling
        channel.log(f"Covariances: {pooling:.0%} pooled over all classes, chosen on validation pixels.")
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
    found: Mapping[str, Any],
) -> Fitted:
    like, sizes = (samples.train, samples.train_truth), (len(samples.train), len(samples.validation))
    for text in no_search_message(job, validation):
        channel.log(text)
    job = with_possible_search(job, validation)
    if job.method == FOREST:
        channel.log(time_estimate.estimate_message(job, len(dataset.recipe.bands), like, *sizes)[1])
    classes = len(np.unique(samples.train_truth))
    settings, grown_before = (
        trees.first_settings(job, samples.train.shape[1], len(samples.train), classes),
        None,
    )
    if found:
        settings = trees.Settings(**{key: int(found[key]) for key in asdict(settings)})
    elif job.search:
        best = trees.search(job, samples, dataset.classes, settings, channel, validation.weighted)
        settings, grown_before = best.settings, best.forest
    channel.log(f"Growing {settings.trees} trees: {settings.description()}.")
    grown = trees.grow(
        settings,
        samples.train,
        samples.train_truth,
        job.seed,
        lambda done: channel.progress("growing trees", done, settings.trees),
        grown_before,
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


def kept_evaluation(validated: ModelFile, channel: Channel) -> tuple[Calibration, dict[str, Any], str]:
    """Return calibration, scores and calibration in a sentence of an earlier run, for a training on all labels.

    Args:
        validated: model of the run that left areas out.
        channel: gets the message.
    """
    text = str(validated.trained.get("calibration_sentence", ""))
    channel.log("Settings, calibration and scores are those of the model that left the test areas out.")
    return validated.calibration, {"miou": None, **validated.metrics}, text


def with_possible_search(job: ForestJob, validation: ValidationData) -> ForestJob:
    """Return the job, without its search where validation data are too few for it.

    Args:
        job: method and settings.
        validation: amount of validation data.
    """
    return replace(job, search=job.search and validation.is_sufficient)


def no_search_message(job: ForestJob, validation: ValidationData) -> list[str]:
    """Return why a requested search is skipped, if it is.

    Args:
        job: method and settings.
        validation: amount of validation data.
    """
    if not job.search or validation.is_sufficient or not validation.total:
        return []
    return [
        f"No search: too few validation data ({validation.amount()}; "
        f"{MIN_REGIONS * MIN_PIXELS} pixels in {MIN_REGIONS} are needed). The default settings are used."
    ]


def evaluate(
    job: ForestJob,
    dataset: Dataset,
    fitted: Fitted,
    samples: Samples,
    validation: ValidationData,
    channel: Channel,
) -> tuple[Calibration, dict[str, Any], str]:
    """Calibrate a classifier and score it on validation pixels.

    Args:
        job: whether to calibrate.
        dataset: its classes.
        fitted: the classifier.
        samples: validation pixels.
        validation: amount of validation data.
        channel: gets messages.

    Returns:
        The calibration, the scores (without validation pixels empty), and the calibration in a sentence.
    """
    logits = fitted.logits(samples.validation)
    truth = samples.validation_truth
    decision = Calibration()
    if job.calibrate and len(truth):
        learned = [pixels > 0 for pixels in samples.counts]
        decision = calibration.fit(logits, truth, learned=learned, weighted=validation.weighted)
    few = validation.too_few_objects(dataset.classes) if job.calibrate else ""
    text = calibration.calibration_message(decision, dataset.classes, few)
    channel.log(text)
    ids = calibration.apply_calibration(logits.T, decision).argmax(axis=0).astype(np.uint8)
    result = scores(confusion(truth, ids, len(dataset.classes)), dataset.classes)
    if result["miou"] is not None:
        channel.log(f"Mean IoU {result['miou']:.3f} on {len(truth)} validation pixels.")
    return decision, result, text


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
    """Write model.onnx with everything that prediction needs, and its sidecar.

    Args:
        job: method, texture and seed.
        dataset: bands, classes and recipe.
        samples: their statistics.
        fitted: the classifier.
        decision: the calibration.
        warnings: of dataset and training.
        summary: content of metrics.json.
        path: of the .onnx.

    Raises:
        GeoSegError: `export_mismatch`.
    """
    facts = reach_of(job)
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
    if job.method in (FOREST, FAST):
        graph = partial(
            forest_onnx.forest_graph,
            fitted.model, samples.statistics, job.texture_px, len(dataset.classes), decision, job.method == FAST,
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
"""Batch, rows and columns of the tiles that the exported model is checked with."""
