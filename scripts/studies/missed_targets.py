"""Why a target is missed: experiments on finished comparisons of two classes. They are no methods of the product.

Run with the engine's Python, after `compare_cases.py`, or both on a made case with `--small` alone:

`python scripts/studies/missed_targets.py shares FOLDER RUN [RUN …]` – FOLDER of a case, names of finished runs below
`comparison_test/runs`, whose mean is judged. How much of the loss is a changed share of the object: test IoU of the
most probable class, with the shares found by expectation maximisation (Saerens, Latinne and Decaestecker 2002), with
the true shares, and at the best of all thresholds.

`python scripts/studies/missed_targets.py draws FOLDER DEM` – many draws of blocks instead of one: test IoU of a forest
with the bands of the case, and with five bands of where water flows besides. What can be reached with training pixels
all around is printed last; it is no score of a map.
"""

from __future__ import annotations

import argparse
import heapq
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(ROOT / "scripts" / "bench"), str(Path(__file__).parent)]

from comparison_cases import made_comparison, prepare  # noqa: E402
from measuring import add_small  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import SPLITS, CompareJob, Contender, ForestJob, PredictJob  # noqa: E402
from geoseg_engine.run import work  # noqa: E402

THRESHOLDS = np.arange(0.02, 0.98, 0.01)
VALIDATION, TEST = SPLITS.index("validation"), SPLITS.index("test")
SHARES = (0.65, 0.8)
TAUGHT_PX = 20_000
"""The most pixels that a tree is taught on."""
NEIGHBOURS = [(row, col) for row, col in product((-1, 0, 1), repeat=2) if row or col]

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def read(path: Path) -> NDArray[np.float64]:
    """All bands of a raster."""
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(), np.float64)


def iou(found: Mask, true: Mask) -> float:
    """Intersection over union."""
    return float((found & true).sum() / max((found | true).sum(), 1))


def best(probability: Values, true: Mask) -> tuple[float, float]:
    """The highest IoU of all thresholds, and its threshold."""
    return max((iou(probability > limit, true), float(limit)) for limit in THRESHOLDS)


def with_share(probability: Values, taught: float, share: float) -> Values:
    """Probabilities of the object where its share is another than was taught."""
    ours, others = probability * share / taught, (1 - probability) * (1 - share) / (1 - taught)
    return ours / (ours + others)


def found_share(probability: Values, taught: float) -> float:
    """Share of the object that explains the probabilities best, by expectation maximisation."""
    share = taught
    for _ in range(200):
        share = float(with_share(probability, taught, share).mean())
    return share


def shares(folder: Path, runs: list[str]) -> None:
    """See the module."""
    labels, split = read(folder / "labels.tif")[0], read(folder / "dataset" / "split.tif")[0]
    probability = np.mean([probability_of(folder, run) for run in runs], axis=0)
    judged, taught = split == TEST, float((labels[split == VALIDATION] == 1).mean())
    object_there, here = labels[judged] == 1, probability[judged]
    found, true = found_share(here, taught), float(object_there.mean())
    print(f"share of the object: {taught:.2f} on validation, {true:.2f} on test, {found:.2f} found")
    for name, share in (("as taught", taught), ("share found", found), ("true share", true)):
        print(f"{name}: test IoU {iou(with_share(here, taught, share) > 0.5, object_there):.3f}")
    score, limit = best(here, object_there)
    print(f"best threshold ({limit:.2f}, found on the test split itself): {score:.3f}")


def probability_of(folder: Path, run: str) -> Values:
    """Calibrated probability of the object on the grid of the labels, mean of eight views."""
    with TemporaryDirectory() as place, rasterio.open(folder / "labels.tif") as labels:
        there = Path(place)
        model = folder / "comparison_test" / "runs" / run / "model.onnx"
        bounds = tuple(labels.bounds)
        job = PredictJob(
            str(model), extent=bounds, probability="probability.tif", output="classes.tif", tta="all"
        )
        work(job, there, Channel(there))
        return read(there / "probability.tif")[1]


@dataclass(frozen=True)
class Flow:
    """Where water goes on a terrain without hollows.

    Attributes:
        area: contributing pixels (rows, cols), shared among all lower neighbours.
        receiver: flat index of the steepest lower neighbour, -1 at the edge.
        order: flat indices from the highest down.
    """

    area: Values
    receiver: NDArray[np.int64]
    order: NDArray[np.int64]


def filled(heights: Values) -> Values:
    """Heights with every hollow filled to its rim (priority flood, Barnes et al. 2014)."""
    result, queue = np.full(heights.shape, np.nan), []
    for row, col in product(*map(range, heights.shape)):
        if row in (0, heights.shape[0] - 1) or col in (0, heights.shape[1] - 1):
            result[row, col] = heights[row, col]
            heapq.heappush(queue, (heights[row, col], row, col))
    while queue:
        height, row, col = heapq.heappop(queue)
        for near in around(row, col, heights.shape):
            if np.isnan(result[near]):
                result[near] = max(heights[near], height + 1e-4)
                heapq.heappush(queue, (result[near], *near))
    return result


def around(row: int, col: int, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The neighbours of a pixel."""
    found = ((row + down, col + right) for down, right in NEIGHBOURS)
    return [(there, here) for there, here in found if 0 <= there < shape[0] and 0 <= here < shape[1]]


def flow_on(heights: Values) -> Flow:
    """Routes one unit of water from every pixel, by slope to the power of 1.1 (Freeman 1991)."""
    heights = filled(heights)
    order = np.argsort(-heights, axis=None)
    area, receiver = np.ones(heights.shape), np.full(heights.size, -1)
    for place in order:
        row, col = divmod(int(place), heights.shape[1])
        lower = {
            near: (heights[row, col] - heights[near]) / np.hypot(near[0] - row, near[1] - col)
            for near in around(row, col, heights.shape)
            if heights[near] < heights[row, col]
        }
        if lower:
            steepest = max(lower, key=lambda near: lower[near])
            receiver[place] = steepest[0] * heights.shape[1] + steepest[1]
            total = sum(slope**1.1 for slope in lower.values())
            for near, slope in lower.items():
                area[near] += area[row, col] * slope**1.1 / total
    return Flow(area, receiver, order)


def flow_bands(heights: Values, pixel_m: float) -> Values:
    """Contributing area (log), wetness, heights above the next small and large channel, height of the ground above."""
    flow = flow_on(heights)
    slope = np.hypot(*np.gradient(ndimage.gaussian_filter(heights, 1), pixel_m))
    flat = heights.ravel()
    above = flat.copy()
    for place in flow.order:
        if flow.receiver[place] >= 0:
            above[flow.receiver[place]] = max(above[flow.receiver[place]], above[place])
    bands = [np.log(flow.area), np.log(flow.area * pixel_m / (slope + 0.02))]
    for minimum in (50, 1000):
        base = np.where(flow.area.ravel() > minimum, flat, np.nan)
        for place in flow.order[::-1]:
            if np.isnan(base[place]):
                base[place] = base[flow.receiver[place]] if flow.receiver[place] >= 0 else flat[place]
        bands.append(heights - base.reshape(heights.shape))
    return np.stack([*bands, above.reshape(heights.shape) - heights])


@dataclass(frozen=True)
class Drawing:
    """How often blocks of which side are drawn, and the trees of a forest."""

    count: int
    block_px: int
    trees: int


USUAL, SMALL = Drawing(14, 64, 200), Drawing(2, 16, 10)


def fitted(bands: Values, labels: Values, ground: Mask, trees: int) -> Values:
    """Probability of the object by a forest that was taught on some ground."""
    pixels = bands.reshape(len(bands), -1).T
    maximum = min(TAUGHT_PX, int(ground.sum()))
    forest = RandomForestClassifier(
        trees, min_samples_leaf=20, class_weight="balanced", max_samples=maximum, random_state=0
    )
    forest.fit(pixels[ground.ravel()], labels[ground])
    return np.asarray(forest.predict_proba(pixels)[:, 1].reshape(labels.shape))


def drawn(shape: tuple[int, ...], seed: int, block_px: int) -> NDArray[np.int64]:
    """A split by blocks: 0 train, then VALIDATION, then TEST."""
    columns = -(-shape[1] // block_px)
    rows, cols = np.indices(shape) // block_px
    number = rows * columns + cols
    count = int(number.max()) + 1
    place = np.random.default_rng(seed).permutation(count) / count
    return np.digitize(place, SHARES)[number]


def draws(folder: Path, dem: Path, how: Drawing = USUAL) -> None:
    """See the module."""
    stack, labels = read(folder / "stack.tif"), read(folder / "labels.tif")[0]
    with rasterio.open(dem) as dataset:
        flow = flow_bands(np.asarray(dataset.read(1), np.float64), abs(dataset.transform.a))
    for name, bands in (("the case's bands", stack), ("and flow", np.concatenate([stack, flow]))):
        scores, highest = [], []
        for seed in range(how.count):
            split = drawn(labels.shape, seed, how.block_px)
            probability = fitted(bands, labels, split == 0, how.trees)
            _, limit = best(probability[split == VALIDATION], labels[split == VALIDATION] == 1)
            judged, true = probability[split == TEST], labels[split == TEST] == 1
            scores.append(iou(judged > limit, true))
            highest.append(best(judged, true)[0])
        print(
            f"{name}, {how.count} draws: test IoU {np.mean(scores):.3f} ± {np.std(scores):.3f} ({min(scores):.2f} to "
            f"{max(scores):.2f}), {sum(score >= 0.35 for score in scores)} of 0.35 or more; at the best threshold of "
            f"the test ground {np.mean(highest):.3f}",
            flush=True,
        )
    taught = np.random.default_rng(0).random(labels.shape) < 0.5
    mixed, _ = best(fitted(stack, labels, taught, how.trees)[~taught], labels[~taught] == 1)
    print(f"half of all pixels taught, the other half judged: {mixed:.3f}")


def tried_out(folder: Path) -> None:
    """Both experiments on a made case and a comparison of one model."""
    comparison = made_comparison(folder / "data")
    case = folder / "made"
    prepare(comparison, case)
    contender = Contender("maximum likelihood", baseline=ForestJob("", method="maximum_likelihood"))
    job = CompareJob(str(case / "dataset"), (contender,), output=str(case / "comparison_test"))
    work(job, case, Channel(case))
    shares(case, [path.name for path in (case / "comparison_test" / "runs").iterdir()])
    draws(case, Path(comparison.case.sources[1].path), SMALL)


def main() -> None:
    """Run one experiment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", choices=("shares", "draws"), nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("given", nargs="*", metavar="RUN|DEM")
    add_small(parser)
    options = parser.parse_args()
    if options.small:
        with TemporaryDirectory(prefix="geoseg-study-") as place:
            tried_out(Path(place))
    elif not options.given:
        parser.error("name the experiment, the case's folder and its runs or DEM, or give --small")
    elif options.experiment == "shares":
        shares(options.folder, options.given)
    else:
        draws(options.folder, Path(options.given[0]))


if __name__ == "__main__":
    main()
