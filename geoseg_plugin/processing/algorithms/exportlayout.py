"""geoseg:exportlayout"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
    QgsProject,
)

from ...contract import AreasJob, GeoSegError, Problem, load_json
from ...jobs.submission import Submission
from ...layers import layout, sheet
from ...layers.inputs.folder import InputFolder
from ..base import GeoSegAlgorithm
from ..inputs.classrasters import class_raster
from ..inputs.problems import layer_problems
from ..parameters import Parameters, file, missing_file_problems, text, tr


class ExportLayout(GeoSegAlgorithm):
    """Draws a class map with legend, scale bar, areas and scores on one sheet, as PDF."""

    ID = "exportlayout"
    TITLE = "Map as PDF"
    GROUP = "map"
    TAGS = ("print layout", "pdf", "png", "legend", "areas", "report")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Class raster")))
        self.addParameter(
            QgsProcessingParameterMultipleLayers(
                "LAYERS", tr("Layers below it"), Qgis.ProcessingSourceType.MapLayer, None, True
            )
        )
        self.addParameter(text("TITLE", tr("Title")))
        self.addParameter(
            QgsProcessingParameterExtent("EXTENT", tr("Extent (empty: the whole map)"), None, True)
        )
        self.addParameter(
            file("AREAS", tr("Areas (areas.json; empty: they are measured now)"), "json", optional=True)
        )
        self.addParameter(
            file("METRICS", tr("Scores (metrics.json of an evaluation)"), "json", optional=True)
        )
        self.addParameter(text("ATTRIBUTION", tr("Data credits")))
        self.addParameter(QgsProcessingParameterFileDestination("OUTPUT", tr("PDF"), tr("PDF files (*.pdf)")))
        self.addParameter(
            QgsProcessingParameterFileDestination(
                "OUTPUT_PICTURE", tr("The same as a picture"), tr("PNG files (*.png)"), None, True, False
            )
        )

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return [
            *layer_problems(self, parameters, context, ("INPUT",)),
            *missing_file_problems(self.parameterAsString(parameters, "AREAS", context), tr("Areas")),
            *missing_file_problems(self.parameterAsString(parameters, "METRICS", context), tr("Scores")),
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.classes, self.raster = class_raster(self, parameters, "INPUT", context)
        below = self.parameterAsLayerList(parameters, "LAYERS", context)
        crs = self.classes.crs()
        extent = self.parameterAsExtent(parameters, "EXTENT", context, crs)
        notes = sheet.printed_notes(sheet.facts_of(self.classes))
        message = self.parameterAsString(parameters, "ATTRIBUTION", context)
        title = self.parameterAsString(parameters, "TITLE", context)
        self.sheet = {
            "title": title or sheet.heading_of(self.classes, context.project() or QgsProject.instance()),
            "name": title or self.classes.name(),
            "layers": (self.classes, *below),
            "legend": (self.classes,),
            "extent": self.classes.extent() if extent.isNull() else extent,
            "crs": crs,
            "subtitle": sheet.subtitle_of(notes),
            "notes": notes,
            "attribution": message or sheet.attribution_of((self.classes, *below)),
        }

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        known = self.parameterAsString(parameters, "AREAS", context)
        metrics = self.parameterAsString(parameters, "METRICS", context)
        if known:
            areas = read(Path(known))
        else:
            folder = self.job_folder()

            def located(inputs: InputFolder) -> list[Submission]:
                job = AreasJob(self.raster.located(inputs).path)
                return [Submission(job, folder, tr("Areas of the classes"))]

            areas = self.run_with_inputs(located, folder, feedback)
        self.sheet["areas"] = areas
        if metrics:
            evaluation = read(Path(metrics))
            self.sheet["scores"] = tuple(sheet.score_lines(evaluation))
            self.sheet["scores_title"] = sheet.scores_title(bool(evaluation.get("split")))
        self.outputs = {
            key: self.parameterAsFileOutput(parameters, key, context) for key in ("OUTPUT", "OUTPUT_PICTURE")
        }
        return {key: path for key, path in self.outputs.items() if path}

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Main thread: layouts belong to it. The layout stays in the project if its layers do."""
        super().postProcessAlgorithm(context, feedback)
        project = context.project() or QgsProject.instance()
        found = sheet.Sheet(**self.sheet)
        keep = all(project.mapLayer(layer.id()) is not None for layer in found.layers)
        made = layout.map_layout(found, project, keep)
        paths = {key: path for key, path in self.outputs.items() if path}
        try:
            for path in paths.values():
                layout.export(made, Path(path))
        except GeoSegError as error:
            raise QgsProcessingException(f"{error.message} {error.hint}") from error
        return paths


def read(path: Path) -> dict[str, Any]:
    """A result that a job left as JSON.

    Raises:
        GeoSegError: `bad_json`.
    """
    try:
        return dict(load_json(path))
    except (GeoSegError, OSError, ValueError, TypeError) as error:
        raise GeoSegError(
            "bad_json", tr("{} is no result of GeoSeg: {}.").format(path, error), tr("Choose another file.")
        ) from error
