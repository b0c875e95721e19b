"""The Processing provider `geoseg`."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..paths import icon
from .base import GeoSegAlgorithm
from .checklabels import CheckLabels
from .classareas import ClassAreas
from .cleanclasses import CleanClasses
from .compare import Compare
from .crossvalidate import CrossValidate
from .evaluate import Evaluate
from .exportchips import ExportChips
from .exportlayout import ExportLayout
from .maketiles import MakeTiles
from .polygonize import Polygonize
from .predict import Predict
from .pretrain import Pretrain
from .rasterizelabels import RasterizeLabels
from .samplepoints import SamplePoints
from .searchsettings import SearchSettings
from .stackrasters import StackRasters
from .terrainattributes import TerrainAttributes
from .trainforest import TrainForest
from .trainmodel import TrainModel

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
