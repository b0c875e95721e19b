"""Jobs that train many models: folds, a search over settings, a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .baseline_jobs import ForestJob
from .catalogue import CATALOGUE, COMPARABLE
from .checks import when
from .data import SPLITS
from .errors import Problem
from .job import DEVICE, MAX_SEED, Job
from .parameter import Param, params_of, unknown
from .prediction_jobs import TestTimeAugmentation
from .run_files import MODEL_FILE
from .text import make_plain
from .training_jobs import DatasetPath, TrainJob

FIRST_SEARCHED = (
    "learning_rate",
    "weight_decay",
    "loss",
    "width",
    "levels",
    "dropout",
    "augment",
    "by_class",
)
"""Those that keep their numbers in the Toolbox; further ones follow in the order of the job."""
SEARCHED = tuple(
    dict.fromkeys(
        (*FIRST_SEARCHED, *(name for name, param in params_of(TrainJob).items() if param.search is not None))
    )
)
"""Settings of a training that the job `search` can vary."""
SEARCHED_LABELS = {name: params_of(TrainJob)[name].title for name in SEARCHED}

Training = Annotated[TrainJob, Param("Training", "Settings of each run; its output is not used.")]
Folder = Annotated[str, Param("Folder", "Folder of the runs and results.")]
KeepFinished = Annotated[bool, Param("Resume", "Keep the runs that are finished.")]


@dataclass(frozen=True)
class CrossValidateJob(Job):
    """Train once per fold of a dataset; leaves the runs, model.onnx (their ensemble) and metrics.json.

    Every labelled pixel is evaluated once, by the model that was not trained on its block; one confusion matrix is
    made of all.
    """

    kind: ClassVar[str] = "crossvalidate"
    worker: ClassVar[str] = "experiments.crossvalidate"
    title: ClassVar[str] = "Cross-validate"
    phases: ClassVar[dict[str, str]] = {"folds": "Cross-validating"}
    leaves: ClassVar[tuple[str, ...]] = (MODEL_FILE,)

    training: Training
    ensemble: Annotated[
        bool,
        Param("Ensemble", "Also write one model whose probabilities are the mean of all folds'."),
    ] = True
    resume: KeepFinished = True
    output: Folder = "."

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [*super().problems(), *self.training.problems()]


@dataclass(frozen=True)
class SearchJob(Job):
    """Search settings of a training by trials (Optuna); leaves trials.csv and the best run's model.

    `max_minutes` or `epochs` of `training` limit one trial.
    """

    kind: ClassVar[str] = "search"
    worker: ClassVar[str] = "experiments.search"
    title: ClassVar[str] = "Search training settings"
    phases: ClassVar[dict[str, str]] = {"searching": "Searching settings"}
    leaves: ClassVar[tuple[str, ...]] = (MODEL_FILE,)

    training: Training
    parameters: Annotated[
        tuple[str, ...],
        Param(
            "Settings to search",
            labels=SEARCHED_LABELS,
            options=SEARCHED,
            several=True,
        ),
    ] = ("learning_rate", "loss", "width", "dropout")
    trials: Annotated[
        int, Param("Trials", "Maximum number of trials; below 15 chance decides.", low=1, high=1_000_000)
    ] = 20
    max_minutes: Annotated[
        float,
        Param(
            "Time limit of the search",
            "Ends the search if that is sooner.",
            unit="min",
            low=0,
            high=1e7,
            decimals=1,
            auto="no limit",
            key="SEARCH_MINUTES",
        ),
    ] = 0.0
    resume: Annotated[bool, Param("Resume", "Continue the study of the output folder.")] = True
    output: Folder = "."

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *super().problems(),
            *self.training.problems(),
            *unknown("parameters", self.parameters, SEARCHED),
            *when(
                not self.parameters,
                "trials",
                "No setting is chosen to search.",
                f"Choose from: {', '.join(SEARCHED)}.",
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


COMPARED = tuple(model.key for model in COMPARABLE if model.compared)
"""Keys of the models that are compared unless the user chooses."""
COMPARED_PRESET: Literal["quick", "balanced", "best"] = "quick"
"""A comparison trains models × band sets × seeds."""


def contender(key: str, preset: str = COMPARED_PRESET) -> Contender:
    """Return a model of a comparison with automatic settings.

    Args:
        key: of CATALOGUE.
        preset: how long a network may be trained, as TrainJob.preset.

    Raises:
        KeyError: if there is no such model.
    """
    model = CATALOGUE[key]
    if model.method:
        return Contender(model.name, baseline=ForestJob("", method=model.method))  # type: ignore[arg-type]
    network = TrainJob("", architecture=model.architecture, encoder=model.encoder, preset=preset)  # type: ignore[arg-type]
    return Contender(model.name, network)


@dataclass(frozen=True)
class BandSet:
    """A named choice of the dataset's bands; empty is all."""

    name: str
    bands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        make_plain(self, "name")


@dataclass(frozen=True)
class CompareJob(Job):
    """Train every model on every band set with every seed, evaluate all on one split, and rank them.

    Leaves comparison.json, comparison.csv, comparison.svg, report.html and a folder per run.
    """

    kind: ClassVar[str] = "compare"
    worker: ClassVar[str] = "experiments.compare"
    title: ClassVar[str] = "Compare models"
    phases: ClassVar[dict[str, str]] = {"comparing": "Comparing models"}

    dataset: DatasetPath
    contenders: Annotated[
        tuple[Contender, ...],
        Param("Models", "Networks and baselines; a baseline shows what a network has to be better than."),
    ] = field(default_factory=lambda: tuple(contender(key) for key in COMPARED))
    band_sets: Annotated[tuple[BandSet, ...], Param("Band sets", "Named choices of bands.")] = (
        BandSet("all bands"),
    )
    seeds: Annotated[
        tuple[int, ...],
        Param("Seeds", "One run per seed; three show how much is chance.", low=0, high=MAX_SEED),
    ] = (42,)
    minutes: Annotated[
        float,
        Param(
            "Time limit per training",
            "",
            unit="min",
            low=0,
            high=1e7,
            decimals=1,
            auto="as the goal states",
            key="MAX_MINUTES",
        ),
    ] = 0.0
    split: Annotated[str, Param("Split", "Part of the dataset that is evaluated.", options=SPLITS)] = "test"
    device: DEVICE = "auto"
    resume: KeepFinished = True
    output: Folder = "."
    together: Annotated[
        bool,
        Param(
            "Ensemble of seeds",
            "Networks of several seeds are also compared as one, the mean of their probabilities.",
        ),
    ] = True
    tta: TestTimeAugmentation = "none"

    def problems(self) -> list[Problem]:
        """See `Job`."""
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
            *super().problems(),
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
