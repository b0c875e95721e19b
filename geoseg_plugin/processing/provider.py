"""The Processing provider `geoseg`."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..paths import icon
from .algorithms.checklabels import CheckLabels
from .algorithms.classareas import ClassAreas
from .algorithms.cleanclasses import CleanClasses
from .algorithms.compare import Compare
from .algorithms.crossvalidate import CrossValidate
from .algorithms.evaluate import Evaluate
from .algorithms.exportchips import ExportChips
from .algorithms.exportlayout import ExportLayout
from .algorithms.maketiles import MakeTiles
from .algorithms.polygonize import Polygonize
from .algorithms.predict import Predict
from .algorithms.pretrain import Pretrain
from .algorithms.rasterizelabels import RasterizeLabels
from .algorithms.samplepoints import SamplePoints
from .algorithms.searchsettings import SearchSettings
from .algorithms.stackrasters import StackRasters
from .algorithms.terrainattributes import TerrainAttributes
from .algorithms.trainforest import TrainForest
from .algorithms.trainmodel import TrainModel
from .base import GeoSegAlgorithm

ALGORITHMS: tuple[type[GeoSegAlgorithm], ...] = (
    StackRasters,
    TerrainAttributes,
    RasterizeLabels,
    MakeTiles,
    CheckLabels,
    ExportChips,
    TrainModel,
    TrainForest,
    Pretrain,
    Compare,
    CrossValidate,
    SearchSettings,
    Predict,
    Evaluate,
    CleanClasses,
    Polygonize,
    ClassAreas,
    SamplePoints,
    ExportLayout,
)


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
