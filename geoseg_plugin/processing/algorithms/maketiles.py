"""geoseg:maketiles"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsRasterLayer,
)

from ...contract import SPLITS, Problem, TileJob, default_of
from ...forms.fields import grouped
from ...forms.parameters import add_fields, fields_from
from ...jobs import prepare
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.inputs.areas import located_split_areas
from ...layers.inputs.folder import InputFolder, RasterSnapshot
from ...layers.inputs.labels import LabelSnapshot
from ...layers.inputs.rasters import class_raster_snapshot
from ...layers.notes import tiles_notes
from ...layers.publish import Item, read_dataset
from ...layers.snapshot import problems
from ..base import GeoSegAlgorithm
from ..inputs.labels import add_labels, label_problems, polygon_area, read_area, read_labels
from ..inputs.problems import COPIES, field_problems, layer_problems
from ..parameters import DRAWN, Parameters, advanced, field, real, tr
from ..splitting import add_split_areas, gather_split_areas, split_area_problems

MAIN = ("tile_px", "stride_px")
ADVANCED = grouped(TileJob)


class MakeTiles(GeoSegAlgorithm):
    """Makes a dataset: tiles, and blocks of ground for training, validation and test."""

    ID = "maketiles"
    TITLE = "Make tiles"
    TAGS = ("chips", "split", "training", "validation", "dataset")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("STACK", tr("Stack")))
        self.addParameter(
            QgsProcessingParameterMapLayer(
                "LABELS",
                tr("Labels: a label raster, or polygons, lines or points"),
                None,
                False,
                [Qgis.ProcessingSourceType.Raster, *DRAWN],
            )
        )
        add_labels(self, with_layer=False)
        self.addParameter(
            advanced(
                field(
                    "SPLIT_FIELD", tr("Field that names the split (train, validation, test)"), "LABELLED_AREA"
                )
            )
        )
        add_fields(self, TileJob, MAIN)
        for split, share in zip(SPLITS, default_of(TileJob, "fractions"), strict=True):
            title = tr("Share of the area: {}").format(split)
            self.addParameter(advanced(real(split.upper(), title, share, 0, 1)))
        add_fields(self, TileJob, ADVANCED, advanced=True)
        add_split_areas(self)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Dataset folder")))
        self.addOutput(QgsProcessingOutputFile("DATASET", tr("Dataset")))
        self.addOutput(QgsProcessingOutputVectorLayer("TILES", tr("Tiles")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        labels = self.parameterAsLayer(parameters, "LABELS", context)
        found = layer_problems(self, parameters, context, ("STACK",))
        if isinstance(labels, QgsRasterLayer):
            found += problems(labels)
            found += layer_problems(self, parameters, context, (), ("LABELLED_AREA",))
        else:
            found += label_problems(self, parameters, context)
        found += field_problems(self, parameters, "SPLIT_FIELD", "LABELLED_AREA", context)
        found += split_area_problems(self, parameters, context)
        return found + TileJob("", "", **self._settings(parameters, context)).problems()

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        shares = [self.parameterAsDouble(parameters, split.upper(), context) for split in SPLITS]
        settings = fields_from(self, parameters, context, TileJob, (*MAIN, *ADVANCED))
        return {**settings, "fractions": tuple(shares)}

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.stack = Path(self.parameterAsRasterLayer(parameters, "STACK", context).source())
        self.split_areas = gather_split_areas(self, parameters, context)
        split_field = (self.parameterAsStrings(parameters, "SPLIT_FIELD", context) or [""])[0]
        layer = self.parameterAsLayer(parameters, "LABELS", context)
        self.label_raster: RasterSnapshot | None = None
        self.labels: LabelSnapshot | None = None
        if isinstance(layer, QgsRasterLayer):
            self.label_raster = class_raster_snapshot(layer)
            self.area = polygon_area(self, parameters, context, "LABELLED_AREA", split_field)
        else:
            self.labels = read_labels(self, parameters, context)
            self.area = read_area(self, parameters, context, split_field)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        folder.mkdir(parents=True, exist_ok=True)
        result = self.run_with_inputs(
            lambda inputs: self._submissions(parameters, context, folder, inputs), folder / COPIES, feedback
        )
        index = folder / "tiles.gpkg"
        facts = tiles_notes(folder, read_dataset(folder))
        for name, text in facts.items():
            feedback.pushInfo(f"{name}: {text}")
        self.style_later(Item(index, tr("Tiles"), styles.style_tiles, "tiles"), facts)
        self.style_later(Item(index, tr("Split blocks"), styles.style_blocks, "blocks"), facts)
        shown = f"{index}|layername=tiles"
        details = QgsProcessingContext.LayerDetails(tr("Tiles"), context.project(), "TILES")
        context.addLayerToLoadOnCompletion(shown, details)
        return {
            "OUTPUT": str(folder),
            "DATASET": str(result.get("dataset") or folder / "dataset.json"),
            "TILES": shown,
        }

    def _submissions(
        self, parameters: Parameters, context: QgsProcessingContext, folder: Path, inputs: InputFolder
    ) -> list[Submission]:
        """The label raster, if the labels are polygons, and the tiles."""
        area = self.area.located(inputs)
        burned = str(folder / prepare.LABELS)
        job = TileJob(
            stack=str(self.stack),
            labels=burned if self.label_raster is None else self.label_raster.located(inputs).path,
            area=area,
            output=str(folder),
            split_areas=located_split_areas(self.split_areas, inputs),
            **self._settings(parameters, context),
        )
        tiling = Submission(job, prepare.job_folder(folder, "tile"), tr("Make tiles"))
        if self.labels is None:
            return [tiling]
        return [prepare.rasterize(folder, self.labels.located(inputs), area, self.stack), tiling]
