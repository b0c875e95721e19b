"""The GeoPackage of polygons: attributes, batches, and the style with the classes' colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from ...contract import Grid, LabelClass, PolygonizeJob
from ...vector.geopackage import write_layer
from .boundaries import FinishedAreas
from .pixel_metres import PixelMetres
from .redrawing import Redrawing
from .rings import in_order, polygons, signed_areas
from .style import write_style

LAYER = "polygons"
BATCH_POINTS = 3_000_000


class PolygonLayer:
    """Polygons on their way to a file. Areas and perimeters are those of the polygons as they are drawn.

    Attributes:
        count, area_m2: of all polygons.
        by_class_m2: class id -> area of its pixels in the map, and of its redrawn polygons.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        classes: Sequence[LabelClass],
        scored: bool,
        job: PolygonizeJob,
        id_type: type[np.integer[Any]] = np.int32,
    ) -> None:
        """Describe the layer.

        Args:
            path: the GeoPackage; made anew.
            grid: of the class raster.
            classes: names and colours.
            scored: whether a confidence is summed.
            job: the smallest area, and how outlines are drawn.
            id_type: of the field `class_id`; holds every value of the raster.
        """
        self.count, self.area_m2 = 0, 0.0
        self.by_class_m2: dict[int, NDArray[np.float64]] = {}
        self._path, self._grid, self._job, self._scored = path, grid, job, scored
        self._classes, self._id_type = classes, id_type
        self._names = {item.id: item.name for item in classes}
        self._metres = PixelMetres(grid)
        self._drawing = Redrawing(job.outlines, grid, self._metres)
        self._several = job.outlines.connectivity == 8
        self._waiting: list[gpd.GeoDataFrame] = []
        self._points = 0

    @property
    def redraws(self) -> bool:
        """Whether outlines become other than the edges of pixels."""
        return self._drawing.anything

    def name_of(self, class_id: int) -> str:
        """Name of a class."""
        return self._names.get(class_id, f"class {class_id}")

    def add(self, found: FinishedAreas) -> None:
        """Add areas that are large enough."""
        outlined = found.outlined.only(found.outlined.sums[:, 0] >= self._job.min_area_px)
        points: NDArray[Any] = outlined.points
        offsets, owner = outlined.offsets, outlined.owner
        count = len(outlined.code)
        if not count:
            return
        order, hole = in_order(outlined, self._several)
        if self.redraws:
            points, offsets = self._drawing.redrawn(outlined, found.corners, order, hole)
        area = owner if self._several else None
        shapes = polygons(points, offsets, order, hole, self._grid.transform, area)
        size = np.bincount(owner, signed_areas(points, offsets), count)
        pixels, map_m2, confidence = outlined.sums.T
        ids = outlined.code.astype(np.int64)
        ids -= ids > 0
        area_m2 = map_m2 * size / pixels
        score = confidence / pixels if self._scored else np.full(count, np.nan)
        perimeter_m = self._metres.perimeters_m(points, offsets, owner, count)
        self._count_area(ids, map_m2, area_m2)
        self._waiting.append(self._frame(shapes, ids, score, area_m2, perimeter_m))
        self._points += len(points)
        self.count += count
        self.area_m2 += float(area_m2.sum())
        if self._points > BATCH_POINTS:
            self._write()

    def finish(self) -> None:
        """Write what waits, and the style; a layer without polygons has its fields all the same."""
        if self._waiting or not self._path.exists():
            self._write()
        write_style(self._path, LAYER, self._classes)

    def _count_area(
        self, ids: NDArray[np.int64], map_m2: NDArray[np.float64], drawn_m2: NDArray[np.float64]
    ) -> None:
        values, which = np.unique(ids, return_inverse=True)
        sums = np.stack([np.bincount(which, map_m2), np.bincount(which, drawn_m2)], axis=1)
        for value, both in zip(values.tolist(), sums, strict=True):
            self.by_class_m2[value] = self.by_class_m2.get(value, 0) + both

    def _frame(
        self,
        shapes: NDArray[Any],
        ids: NDArray[np.int64],
        score: NDArray[np.float64],
        area_m2: NDArray[np.float64],
        perimeter_m: NDArray[np.float64],
    ) -> gpd.GeoDataFrame:
        values, which = np.unique(ids, return_inverse=True)
        names = np.array([self.name_of(value) for value in values.tolist()], object)
        return gpd.GeoDataFrame(
            {
                "class_id": ids.astype(self._id_type),
                "class_name": names[which],
                "score": score.round(4),
                "area_m2": area_m2.round(3),
                "perimeter_m": perimeter_m.round(3),
            },
            geometry=gpd.GeoSeries(shapes, crs=self._grid.crs),
            crs=self._grid.crs,
        )

    def _write(self) -> None:
        none = np.zeros(0)
        frames = self._waiting or [self._frame(np.zeros(0, object), none.astype(np.int64), none, none, none)]
        frame = gpd.pd.concat(frames)
        kind = "MultiPolygon" if self._several else "Polygon"
        write_layer(frame, self._path, LAYER, append=self._path.exists(), geometry_type=kind)
        self._waiting, self._points = [], 0
