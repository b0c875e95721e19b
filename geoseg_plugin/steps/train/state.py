"""What is chosen on the Train page, the job that follows from it, and what is shown of it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...contract import (
    BASELINE_MODELS,
    CATALOGUE,
    OTHER,
    Dataset,
    ForestJob,
    GeoSegError,
    Model,
    PretrainJob,
    Problem,
    TrainJob,
    choices_of,
    params_of,
)
from ...forms.fields import grouped
from ...jobs import train
from ...panel.texts import as_sentence, duration, pixels, tr

NETWORK_FIELDS = grouped(TrainJob, "encoder", "decoder")
"""Settings of networks in the group of options; encoder and decoder belong to the model."""
BASELINE_FIELDS = grouped(ForestJob)
OF_TREES = ("trees", "depth", "features", "search")
"""Settings that only a random forest has."""
FIXED = {"forest": (), "fast": (*OF_TREES, "texture_px")}
"""Settings that a baseline does not have; those of OF_TREES unless it is named here."""
SHARED = ("bands", "architecture", "encoder", "width", "levels", "seed", "device", "max_minutes")
"""Settings that pretraining has in common with training."""


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        mode: of `start_names`.
        model: model.onnx of an earlier run, for the modes `again` and `model`.
        weights: value of the job's field of that name.
        freeze_epochs: epochs with a frozen encoder; -1 is all.
    """

    mode: str = "none"
    model: str = ""
    weights: str = ""
    freeze_epochs: int = 0

    def problems(self) -> list[Problem]:
        """List what is still to be chosen."""
        missing = {
            "again": (self.model, tr("No run is chosen to continue.")),
            "model": (self.model, tr("No model is chosen to start from.")),
            "encoder": (self.weights, tr("No file of encoder weights is chosen.")),
        }
        path, message = missing.get(self.mode, ("-", ""))
        return [] if path else [Problem("start", message, tr("Choose one, or start from random weights."))]


@dataclass(frozen=True)
class TrainChoices:
    """The Train page.

    Attributes:
        model: key of the catalogue.
        bands: names of the bands to use; none are all.
        preset, max_minutes: how long training may take; 0 minutes leaves it to the preset.
        encoder, decoder: of the library behind the last entry of the catalogue.
        start: what a network starts from.
        options: fields of the groups of options: of TrainJob for a network, of ForestJob for a baseline.
    """

    model: str = "unet"
    bands: tuple[str, ...] = ()
    preset: str = "balanced"
    max_minutes: float = 0.0
    encoder: str = ""
    decoder: str = ""
    start: Start = Start()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_network(self) -> bool:
        """Whether a network is trained, not a baseline."""
        return not CATALOGUE[self.model].method

    @property
    def continues(self) -> bool:
        """Whether an earlier run is trained once more with its own settings."""
        return self.is_network and self.start.mode == "again"

    def settings(self) -> dict[str, Any]:
        """Return the choices as fields of the job."""
        model = CATALOGUE[self.model]
        if not self.is_network:
            unused = FIXED.get(model.method, OF_TREES)
            options = {name: value for name, value in self.options.items() if name not in unused}
            return {"method": model.method, "bands": self.bands, **options}
        limits = {"preset": self.preset, "max_minutes": self.max_minutes}
        limits["freeze_epochs"] = self.start.freeze_epochs
        if self.continues and self.start.model:
            return limits
        other = model == OTHER
        return {
            **limits,
            **self.options,
            "architecture": model.architecture,
            "encoder": self.encoder if other else model.encoder,
            "decoder": self.decoder if other else "",
            "bands": self.bands,
            "weights": self.start.weights,
            "start_from": self.start.model,
        }

    def job(self, dataset: Path) -> TrainJob | ForestJob:
        """Return the job of the choices.

        Args:
            dataset: folder of the dataset.

        Raises:
            GeoSegError: `start` if what to start from is not chosen; `no_run` if that run has no readable record.
        """
        settings = self.settings()
        if not self.is_network:
            return ForestJob(dataset=str(dataset), **settings)
        for problem in self.start.problems():
            raise GeoSegError(problem.code, problem.message, problem.hint)
        if self.continues:
            return train.again(dataset, Path(self.start.model), **settings)
        if self.start.model:
            settings |= train.network_of(Path(self.start.model))
        return TrainJob(dataset=str(dataset), **settings)

    def pretraining(self, dataset: Path) -> PretrainJob:
        """Return the job that pretrains the encoder of the chosen network.

        Args:
            dataset: folder of the dataset.
        """
        settings = self.settings()
        shared = {name: settings[name] for name in SHARED if name in settings}
        return PretrainJob(dataset=str(dataset), **shared)


def model_anchor(model: Model) -> str:
    """Return the section of the guide about a model."""
    return "baselines" if model in BASELINE_MODELS else "which-model"


def preset_names() -> dict[str, str]:
    """Return the goals by contract key, in order."""
    labels = params_of(TrainJob)["preset"].labels
    return {key: tr(labels[key]) for key in choices_of(TrainJob, "preset")}


def experiment_names() -> dict[str, str]:
    """Return the entries of the menu of experiments, by the key that the page sends."""
    return {
        "compare": tr("Compare models…"),
        "crossvalidate": tr("Cross-validate this model…"),
        "search": tr("Search its settings…"),
        "runs": tr("All runs…"),
    }


def start_names() -> dict[str, str]:
    """Return what weights may start from, by mode."""
    return {
        "none": tr("Random weights (from scratch)"),
        "again": tr("Continue a previous run with new labels"),
        "model": tr("Fine-tune a previous model"),
        "encoder": tr("Encoder weights from a file"),
        "imagenet": tr("ImageNet weights (only Other…)"),
    }


def start_note(mode: str) -> str:
    """Return what a mode of `start_names` does; empty for random weights."""
    notes = {
        "again": tr("The same settings and bands, from its weights: minutes instead of hours."),
        "model": tr("Weights whose bands, classes and shapes fit are kept; the log lists them."),
        "encoder": tr("Weights with the names of torchvision, or pretrained on your own rasters."),
        "imagenet": tr("Downloaded by the library for the chosen encoder, adapted to your number of bands."),
    }
    return notes.get(mode, "")


def curve_name(monitor: str) -> str:
    """Return the name in the legend of the curve of a score; where the loss decides, mean IoU is drawn."""
    names = {"foreground_iou": tr("IoU without background"), "f1": tr("validation F1")}
    return names.get(monitor, tr("validation IoU"))


def bands_title(used: int, total: int) -> str:
    """Return the title of the list of bands."""
    return tr("Bands: all {}").format(total) if used == total else tr("Bands: {} of {}").format(used, total)


def dataset_sentence(dataset: Dataset) -> str:
    """Return a dataset as a sentence."""
    total = sum(dataset.counts.get("train", {}).values())
    return tr("“{}”: {} bands, {} classes, {} labelled pixels for training.").format(
        dataset.name, len(dataset.recipe.bands), len(dataset.classes), pixels(total)
    )


def plan_sentence(result: Mapping[str, Any]) -> str:
    """Return the plan of a network, or of a baseline, as sentences.

    Args:
        result: of a dry run.
    """
    plan, facts = result.get("plan") or {}, result.get("facts") or {}
    if not plan.get("crop_px"):
        return " ".join(as_sentence(str(item)) for item in result.get("reasons") or [])
    text = tr("Crops of {} px, {} per step, at most {} epochs").format(
        plan["crop_px"], plan.get("batch_size"), plan.get("epochs")
    )
    minutes = result.get("minutes")
    if isinstance(minutes, (int, float)):
        text += tr(": about {} on {}").format(
            duration(60 * minutes), result.get("device") or tr("this device")
        )
    return " ".join(filter(None, (f"{text}.", facts_sentence(facts))))


def facts_sentence(facts: Mapping[str, Any]) -> str:
    """Return size, receptive field and memory of a network as a sentence."""
    parts = []
    if facts.get("parameters"):
        parts.append(tr("{} parameters").format(count_text(float(facts["parameters"]))))
    if facts.get("reach_px") is not None:
        parts.append(tr("sees {} px around each pixel").format(facts["reach_px"]))
    if facts.get("memory_mb"):
        parts.append(tr("{} MB while training").format(round(facts["memory_mb"])))
    if facts.get("tile_exact") is False:
        parts.append(tr("maps are blended from overlapping windows"))
    return as_sentence(", ".join(parts)) if parts else ""


def count_text(number: float) -> str:
    """Return a large count in short: 1.9 M, 480 000."""
    return tr("{:.1f} M").format(number / 1e6) if number >= 1e6 else pixels(number)
