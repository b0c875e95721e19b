"""Stacks with labels, and what the job `tiles` makes of them."""

import numpy as np
from data_scenes import channel, hills, one_band_each, pixel_box, sources_of, write_polygons, write_raster
from scipy import ndimage

from geoseg_engine.contract import Labels, RasterizeJob, StackJob, TileJob
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.datasets import read_dataset, read_ids
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.stacking import stack


def labelled_scene(folder, rows=300, cols=330, unlabelled="background", seed=0, written=True):
    """A stack, and labels of two classes scattered over it."""
    sources = sources_of(write_raster(folder / "a.tif", hills(rows, cols)))
    job = StackJob(sources, one_band_each(sources), output="stack.tif" if written else "stack.recipe.json")
    stack.run(job, folder, channel(folder))
    rng = np.random.default_rng(seed)
    count = max(rows * cols // 1500, 4)
    shapes = [
        pixel_box(int(r), int(c), 7, 8)
        for r, c in zip(
            rng.integers(0, max(rows - 7, 1), count), rng.integers(0, max(cols - 8, 1), count), strict=True
        )
    ]
    kinds = ["a" if number % 3 else "b" for number in range(count)]
    source = Labels(
        str(write_polygons(folder / "l.gpkg", shapes, kind=kinds)), "", "l", "kind", (), unlabelled
    )
    labels.run(RasterizeJob(job.output, source), folder, channel(folder))
    return job.output


def tile(folder, stack_name="stack.tif", **more):
    result = tiles.run(TileJob(stack_name, "labels.tif", **more), folder, channel(folder))
    dataset, home = read_dataset(folder / more.get("output", "."))
    return result, dataset, read_ids(home / dataset.split), read_ids(home / dataset.labels)


def gap_px(codes: np.ndarray) -> int:
    """Smallest Chebyshev number of pixels between two splits."""
    distances = [
        ndimage.distance_transform_cdt(codes != one, metric="chessboard")[codes == other].min()
        for one in range(3)
        for other in range(3)
        if one != other and (codes == one).any() and (codes == other).any()
    ]
    return int(min(distances)) - 1


def nine_boxes():
    return [pixel_box(row, col, 60, 60) for row in (10, 110, 210) for col in (10, 110, 210)]
