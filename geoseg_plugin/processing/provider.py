"""The Processing provider `geoseg`."""

from __future__ import annotations

import pkgutil

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..paths import icon
from . import algorithms
from .base import GeoSegAlgorithm


def algorithms_of(module: str) -> list[type[GeoSegAlgorithm]]:
    """Return the algorithms that a module of the package `algorithms` declares.

    Args:
        module: its name.
    """
    imported = __import__(
        f"{algorithms.__name__}.{module}", fromlist=["ID"]
    )  # QGIS unloads what came this way
    found = vars(imported).values()
    classes = [item for item in found if isinstance(item, type) and issubclass(item, GeoSegAlgorithm)]
    return [item for item in classes if module == item.ID]


ALGORITHMS: tuple[type[GeoSegAlgorithm], ...] = tuple(
    algorithm
    for module in pkgutil.iter_modules(algorithms.__path__)
    for algorithm in algorithms_of(module.name)
)
"""One per module of the package `algorithms`, which is called as its algorithm."""


class GeoSegProvider(QgsProcessingProvider):
    """All algorithms of GeoSeg. Rasters come out as GeoTIFF, vectors as GeoPackage, always as files."""

    def id(self) -> str:
        return "geoseg"

    def name(self) -> str:
        return "GeoSeg"

    def icon(self) -> QIcon:
        return QIcon(icon("geoseg.svg"))

    def loadAlgorithms(self) -> None:
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        return ["gpkg"]

    def defaultRasterFileExtension(self) -> str:
        return "tif"

    def defaultVectorFileExtension(self, has_geometry: bool = True) -> str:
        return "gpkg"

    def supportsNonFileBasedOutput(self) -> bool:
        return False
