"""geoseg:mapfromlayers"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterFolderDestination,
    QgsProject,
)

from ...contract import Problem, split_address
from ...jobs import mapping
from ...jobs.submission import Submission
from ...layers.inputs.folder import NOWHERE, InputFolder
from ...layers.notes import prediction_notes
from ...layers.publish import classes_from, prediction_items
from ..base import GeoSegAlgorithm
from ..inputs.grid import add_grid, target_grid
from ..inputs.labels import add_labels, label_problems, read_area, read_labels
from ..inputs.problems import COPIES, layer_problems
from ..inputs.stack import add_bands, stack_of
from ..mapsettings import add_map_settings, map_file_problems, map_settings
from ..parameters import Parameters, rasters, tr

IN_SIGHT = ("LAYERS", "LABELS", "CLASS_FIELD", "MODEL", "MAX_MINUTES", "OUTPUT")
"""Parameters that are not folded away."""
SHOWN = {
    "polygons": "POLYGONS",
    "beyond": "BEYOND",
    "output": "MAP",
    "confidence": "CONFIDENCE",
    "margin": "MARGIN",
    "entropy": "ENTROPY",
    "disagreement": "DISAGREEMENT",
    "probability": "PROBABILITY",
}
"""Key of a file in the result -> output of the algorithm, in the order of the layers."""


class MapFromLayers(GeoSegAlgorithm):
    """Makes a map from rasters and label polygons, or brings it up to date."""

    ID = "mapfromlayers"
    TITLE = "Map from layers"
    GROUP = "map"
    TAGS = ("one step", "classification", "train", "predict", "update", "random forest")
    LOGS_WARNINGS = False

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(rasters())
        add_labels(self)
        add_map_settings(self)
        add_bands(self)
        add_grid(self)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Output folder")))
        for definition in self.parameterDefinitions():
            if definition.name() not in IN_SIGHT:
                definition.setFlags(definition.flags() | Qgis.ProcessingParameterFlag.Advanced)
        self._add_outputs()

    def _add_outputs(self) -> None:
        self.addOutput(QgsProcessingOutputRasterLayer("MAP", tr("Classes")))
        self.addOutput(QgsProcessingOutputVectorLayer("POLYGONS", tr("Polygons")))
        self.addOutput(QgsProcessingOutputRasterLayer("CONFIDENCE", tr("Confidence")))
        self.addOutput(QgsProcessingOutputFile("MODEL_USED", tr("Model of the map")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU on the test areas")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = layer_problems(self, parameters, context, ("LAYERS", "DEM", "SAR"))
        found += label_problems(self, parameters, context)
        if found:
            return found
        try:
            stack, _notes = stack_of(self, parameters, context)
        except ValueError as error:
            return [Problem("bands", str(error), tr("The help of this algorithm has examples."))]
        settings = map_settings(self, parameters, context)
        labels = read_labels(self, parameters, context).labels
        grid = target_grid(self, parameters, context)
        job: Any = mapping.update_map(NOWHERE, stack.composition(), labels, None, grid, **settings).job
        return [*map_file_problems(settings), *job.problems()]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.stack, notes = stack_of(self, parameters, context)
        for note in notes:
            feedback.pushInfo(note)
        self.labels = read_labels(self, parameters, context)
        self.area = read_area(self, parameters, context)
        self.grid = target_grid(self, parameters, context)
        self.settings = map_settings(self, parameters, context)
        project = context.project() or QgsProject.instance()
        self.open_files = {
            str(Path(split_address(layer.source())[0])): layer.id() for layer in project.mapLayers().values()
        }

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        folder.mkdir(parents=True, exist_ok=True)

        def located(inputs: InputFolder) -> list[Submission]:
            bands, beside = self.stack.located(inputs), InputFolder(folder / COPIES / "labels")
            labels, area = self.labels.located(beside), self.area.located(beside)
            inputs.exports += beside.exports
            return [mapping.update_map(folder, bands, labels, area, self.grid, **self.settings)]

        result = self.run_with_inputs(located, folder / COPIES, feedback)
        for key in ("sentence", "score_sentence", "split_note", "final_sentence"):
            if result.get(key):
                feedback.pushInfo(str(result[key]))
        files = {key: str(result[key]) for key in SHOWN if result.get(key)}
        self._style(files, result)
        self._load(files, folder, context)
        return {
            "OUTPUT": str(folder),
            **{
                SHOWN[key]: path for key, path in files.items() if key in ("output", "polygons", "confidence")
            },
            "MODEL_USED": str(result.get("model", "")),
            "MIOU": result.get("miou"),
            "REPORT": str(result.get("report", "")),
        }

    def _style(self, files: dict[str, str], result: dict[str, Any]) -> None:
        """Styles and facts of what was made again; what was kept has them."""
        items = {item.path.name: item for item in prediction_items(classes_from(result))}
        notes = prediction_notes(Path(files["output"]).parent, result)
        for key, path in files.items():
            self.style_later(dataclasses.replace(items[key], path=Path(path)), notes)

    def _load(self, files: dict[str, str], folder: Path, context: QgsProcessingContext) -> None:
        """Show the map as one group; layers of it that are open already stay, and are read again."""
        self.updated = [self.open_files[path] for path in files.values() if path in self.open_files]
        for height, key in enumerate(reversed(list(SHOWN))):
            path = files.get(key, "")
            if key not in ("polygons", "output", "confidence") or not path or path in self.open_files:
                continue
            item = next(item for item in prediction_items(()) if item.path.name == key)
            details = QgsProcessingContext.LayerDetails(item.name, context.project(), SHOWN[key])
            details.groupName = tr("Map {}").format(folder.name)
            details.layerSortKey = height
            context.addLayerToLoadOnCompletion(path, details)

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        found = super().postProcessAlgorithm(context, feedback)
        project = context.project() or QgsProject.instance()
        for layer_id in getattr(self, "updated", ()):
            layer = project.mapLayer(layer_id)
            if layer is not None:
                layer.dataProvider().reloadData()
                layer.triggerRepaint()
        return found
