"""The job that trains a baseline, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .catalogue import BASELINES
from .checks import when
from .errors import Problem
from .events import TRAINING_PHASES
from .job import MAX_SEED, Job
from .parameter import Param
from .training_jobs import Bands, DatasetPath, DryRun, OutputFolder, SettingsFrom

BASELINE = "Baseline"


@dataclass(frozen=True)
class ForestJob(Job):
    """Train a baseline on the same pixels: random forest, maximum likelihood or spectral angle; leaves model.onnx."""

    kind: ClassVar[str] = "trainforest"
    worker: ClassVar[str] = "baselines.fit"
    title: ClassVar[str] = "Train random forest or spectral baseline"
    phases: ClassVar[dict[str, str]] = {"trainforest": "Training", **TRAINING_PHASES}

    dataset: DatasetPath
    bands: Bands = ()
    method: Annotated[
        Literal["forest", "maximum_likelihood", "spectral_angle", "fast"],
        Param(
            "Method",
            f"Kind of baseline: one of {', '.join(BASELINES)}. The fast model has its own texture and fixed settings, "
            "no search, and at most 20 000 training pixels.",
        ),
    ] = "forest"
    trees: Annotated[
        int,
        Param(
            "Trees",
            "More trees are steadier and slower, and make a larger model.",
            unit="trees",
            low=0,
            high=100_000,
            auto="100",
            group=BASELINE,
            guide="baselines",
            row="forest_trees",
        ),
    ] = 0
    depth: Annotated[
        int,
        Param(
            "Maximum depth",
            "Levels of a tree. Limit it when few labels give a speckled map.",
            low=0,
            high=100_000,
            auto="no limit",
            group=BASELINE,
            guide="baselines",
            row="forest_depth",
        ),
    ] = 0
    features: Annotated[
        int,
        Param(
            "Features per split",
            "Features tried at each split of a tree.",
            low=0,
            high=1_000_000,
            auto="square root of all",
            group=BASELINE,
            guide="baselines",
            row="forest_features",
        ),
    ] = 0
    texture_px: Annotated[
        tuple[int, ...],
        Param(
            "Texture windows",
            "Sides of windows, odd numbers such as 3, 7; mean and standard deviation of every band in each are further "
            "features.",
            unit="px",
            low=3,
            high=31,
            auto="none",
            group=BASELINE,
            guide="baselines",
            key="TEXTURE",
            row="forest_texture",
        ),
    ] = ()
    search: Annotated[
        bool,
        Param(
            "Search leaf size and features first",
            "Scores a few small forests on validation data; takes less time than the trees.",
            group=BASELINE,
            guide="baselines",
            row="forest_search",
        ),
    ] = True
    calibrate: Annotated[
        bool,
        Param(
            "Calibrate on validation data",
            "Makes the confidence a true probability and gives rare classes the threshold that fits best.",
            guide="calibration",
        ),
    ] = True
    pixels: Annotated[
        int,
        Param(
            "Training pixels",
            "Maximum number of training pixels, balanced across classes.",
            unit="pixels",
            low=100,
            high=1_000_000_000,
            step=10_000,
            group=BASELINE,
            guide="baselines",
            row="forest_pixels",
        ),
    ] = 200_000
    seed: Annotated[
        int,
        Param(
            "Seed",
            "The same seed gives the same model.",
            low=0,
            high=MAX_SEED,
            group=BASELINE,
            guide="seed-and-resume",
            row="forest_seed",
        ),
    ] = 42
    dry_run: DryRun = False
    output: OutputFolder = "."
    settings_from: SettingsFrom = ""

    def problems(self) -> list[Problem]:
        """See `Job`."""
        even = [size for size in self.texture_px if size % 2 == 0]
        return [
            *super().problems(),
            *when(
                bool(even),
                "texture_px",
                f"Texture windows of {', '.join(map(str, even))} px have no pixel in their middle.",
                "Choose odd numbers from 3 to 31.",
            ),
            *when(
                self.method == "fast" and bool(self.texture_px),
                "texture_px",
                f"The fast model has its own texture: windows of {', '.join(map(str, self.texture_px))} px are unused.",
                "Leave the texture windows empty, or choose the method 'forest'.",
            ),
        ]
