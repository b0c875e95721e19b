"""Jobs that train many models: folds, a search over settings, a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .complaints import when
from .errors import Problem
from .job import Job
from .prediction_jobs import Views
from .text import make_plain
from .training_jobs import ForestJob, TrainJob, unknown

SEARCHED = ("learning_rate", "weight_decay", "loss", "width", "levels", "dropout", "augment", "by_class")
"""Settings of a training that the job `search` can vary."""


@dataclass(frozen=True)
class CrossValidateJob(Job):
    """Train once for every fold of a dataset; leaves the runs, model.onnx (their ensemble) and metrics.json.

    Every labelled pixel is judged once, by the model that has not seen its block; one confusion matrix is made of all.

    Attributes:
        training: settings of each run; its `dataset` has folds, its `output` is not used.
        ensemble: also write one model whose probabilities are the mean of all folds'.
        resume: keep the folds that are finished.
    """

    kind: ClassVar[str] = "crossvalidate"
    training: TrainJob
    ensemble: bool = True
    resume: bool = True
    output: str = "."

    def problems(self) -> list[Problem]:
        return self.training.problems()


@dataclass(frozen=True)
class SearchJob(Job):
    """Search settings of a training by trials (Optuna); leaves trials.csv and the best run's model.

    Attributes:
        training: settings that are kept; its `max_minutes` or `epochs` bound one trial.
        parameters: of SEARCHED.
        trials: at most so many.
        max_minutes: of the whole search, if that is sooner; 0 sets no limit.
        resume: go on with the study of the output folder.
    """

    kind: ClassVar[str] = "search"
    training: TrainJob
    parameters: tuple[str, ...] = ("learning_rate", "loss", "width", "dropout")
    trials: int = 20
    max_minutes: float = 0.0
    resume: bool = True
    output: str = "."

    def problems(self) -> list[Problem]:
        return [
            *self.training.problems(),
            *unknown("parameters", self.parameters, SEARCHED),
            *when(
                self.trials < 1 or not self.parameters,
                "trials",
                f"{self.trials} trials over {len(self.parameters)} settings search nothing.",
                "Choose one or more of each.",
            ),
        ]


@dataclass(frozen=True)
class Contender:
    """One model of a comparison: a network or a baseline. Its dataset, bands, seed and output are the comparison's."""

    name: str
    network: TrainJob | None = None
    baseline: ForestJob | None = None

    def __post_init__(self) -> None:
        make_plain(self, "name")


@dataclass(frozen=True)
class BandSet:
    """A named choice of the dataset's bands; empty is all."""

    name: str
    bands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        make_plain(self, "name")


@dataclass(frozen=True)
class CompareJob(Job):
    """Train every model on every band set with every seed, judge all on one split, and rank them.

    Leaves comparison.json, comparison.csv, comparison.svg, report.html and a folder for every run.

    Attributes:
        dataset: dataset.json or its folder.
        contenders: models; empty takes random forest, U-Net, Attention Res-UNet and DeepLabV3+.
        band_sets: empty takes all bands.
        seeds: one run each.
        minutes: time limit of one training; 0 leaves it to the preset.
        split: split that is judged.
        device: of every run.
        resume: keep the runs that are finished.
        together: networks of several seeds also compete as one, the mean of their probabilities.
        tta: test-time augmentation of networks when they are judged, see `evaluate`.
    """

    kind: ClassVar[str] = "compare"
    dataset: str
    contenders: tuple[Contender, ...] = ()
    band_sets: tuple[BandSet, ...] = ()
    seeds: tuple[int, ...] = (1,)
    minutes: float = 0.0
    split: str = "test"
    device: str = "auto"
    resume: bool = True
    output: str = "."
    together: bool = True
    tta: Views = "none"

    def problems(self) -> list[Problem]:
        names = [item.name for item in self.contenders]
        sets = [item.name for item in self.band_sets]
        twice = sorted({name for name in [*names, *sets] if names.count(name) > 1 or sets.count(name) > 1})
        inner = [
            problem
            for item in self.contenders
            for part in (item.network, item.baseline)
            if part is not None
            for problem in part.problems()
        ]
        both = [item.name for item in self.contenders if (item.network is None) == (item.baseline is None)]
        return [
            *inner,
            *when(
                bool(twice),
                "names",
                f"Two models or band sets are named {', '.join(twice)}.",
                "Give each its own name.",
            ),
            *when(
                bool(both),
                "contender",
                f"'{', '.join(both)}' is neither a network nor a baseline, or both.",
                "Give exactly one of the two.",
            ),
            *when(not self.seeds, "seeds", "No seed is given.", "Give one or more."),
        ]
