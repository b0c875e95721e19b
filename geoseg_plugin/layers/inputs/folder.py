"""The folder that gets the written inputs of one job, and the rasters of which it must get a copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...jobs.inputs import RasterInput
from ..exports import PolygonExport, RasterExport

NOWHERE = Path("copies")
"""Folder of exports that are not located yet."""

WrittenT = TypeVar("WrittenT", RasterExport, PolygonExport)


class Export(Protocol):
    """Writes a file that the engine will read; call it in a task thread before the engine starts."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def note(self) -> str:
        """One sentence for the log; empty if there is nothing to report."""

    def __call__(self) -> None:
        """Write the file.

        Raises:
            GeoSegError: `export_failed`.
        """


@dataclass
class InputFolder:
    """Where the written inputs of one job go. Any thread.

    Attributes:
        path: the folder; the exports make it.
        refused: ids of raster layers whose files the engine cannot open.
        exports: what writes the files of the inputs that were located here.
        rasters: the rasters among these inputs.
    """

    path: Path
    refused: Collection[str] = ()
    exports: list[Export] = field(default_factory=list)
    rasters: list[RasterSnapshot] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """A sentence for each raster that is copied: what is written and why."""
        return [item.note for item in self.exports if isinstance(item, RasterExport)]

    @property
    def missing(self) -> list[Export]:
        """The exports but those of rasters whose copy is already there: a plan needs no newer one."""
        return [item for item in self.exports if not (isinstance(item, RasterExport) and item.path.exists())]

    def add(self, export: WrittenT, name: str) -> str:
        """Plan a file of this folder.

        Args:
            export: writes the file, wherever its path is now.
            name: of the file.

        Returns:
            The path of the file.
        """
        self.exports.append(dataclasses.replace(export, path=self.path / name))
        return str(self.path / name)


@dataclass(frozen=True)
class RasterSnapshot:
    """A raster layer at one moment, with the export that stands by for an engine that cannot open its file.

    Attributes:
        raster: the layer by the path of its file, as plain data.
        copy: writes a GeoTIFF of the same bands as QGIS shows them.
        copy_reason: why the engine cannot read the file as QGIS shows it; empty if it can.
    """

    raster: RasterInput
    copy: RasterExport
    copy_reason: str = ""

    def located(self, folder: InputFolder) -> RasterInput:
        """Return what the engine reads: the file of the layer, or its copy in `folder`. Any thread."""
        folder.rasters.append(self)
        if not self.copy_reason and self.raster.layer_id not in folder.refused:
            return self.raster
        path = folder.add(self.copy, self.copy.path.name)
        return dataclasses.replace(self.raster, path=path, crs="", nodata=None)


class RefusedRasters:
    """Rasters whose files the engine could not open: QGIS copies each of them, once. Any thread."""

    def __init__(self) -> None:
        self.layer_ids: set[str] = set()

    def note(self, problem: Mapping[str, Any], rasters: Iterable[RasterSnapshot]) -> RasterSnapshot | None:
        """Note the raster that a failure of the engine names.

        Args:
            problem: the failure, with `code` and `message`.
            rasters: inputs of the job that failed.

        Returns:
            The raster, of which the next `located` makes a copy; None if the failure is another one, or nothing is
            left to try.
        """
        if problem.get("code") != "cannot_open":
            return None
        found = named_in(str(problem.get("message", "")), [item for item in rasters if not item.copy_reason])
        if found is None or found.raster.layer_id in self.layer_ids:
            return None
        self.layer_ids.add(found.raster.layer_id)
        return found


def named_in(message: str, rasters: Iterable[RasterSnapshot]) -> RasterSnapshot | None:
    """Return the raster that a message names, by its path, else by the name of its file or layer.

    Args:
        message: of the engine.
        rasters: those it may mean; of equals the first counts.
    """
    inputs = [(item, item.raster) for item in rasters]
    for texts in (
        [(item, raster.path) for item, raster in inputs],
        [(item, Path(raster.path).name) for item, raster in inputs],
        [(item, raster.name) for item, raster in inputs],
    ):
        for item, text in texts:
            if text and text in message:
                return item
    return None
