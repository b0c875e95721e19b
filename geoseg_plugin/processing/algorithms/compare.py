"""geoseg:compare"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFolderDestination,
)

from ...contract import COMPARED, COMPARED_PRESET, Cancelled, CompareJob, GeoSegError, Problem, TrainJob
from ...forms.parameters import add_fields, fields_from
from ...jobs import experiments
from ...jobs.submission import Submission
from ...layers import publish
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, choice, dataset, dataset_folder, dataset_problems, text, tr, whole

ADVANCED = ("resume", "tta", "together", "device")

KINDS = "auto"
"""BAND_SETS: all bands, and each kind of band alone."""


class Compare(GeoSegAlgorithm):
    """Trains models on band sets, judges all on one split, and ranks them."""

    ID = "compare"
    TITLE = "Compare models"
    GROUP = "training"
    TAGS = ("benchmark", "ranking", "table", "band sets", "ablation")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        models, usual = experiments.CONTENDERS, COMPARED
        self.addParameter(choice("MODELS", tr("Models"), models, list(usual), several=True))
        sets = tr("Band sets, as: optical = red, nir; terrain = slope (empty: all bands; auto: by kind)")
        self.addParameter(text("BAND_SETS", sets))
        self.addParameter(whole("SEEDS", tr("Runs of each model, with other seeds"), 1, 1, 10))
        add_fields(self, TrainJob, ("preset",), owner=TrainJob("", preset=COMPARED_PRESET))
        add_fields(self, CompareJob, ("minutes", "split"))
        add_fields(self, CompareJob, ADVANCED, advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Comparison folder")))
        self.addOutput(QgsProcessingOutputFile("TABLE", tr("Table (CSV)")))
        self.addOutput(QgsProcessingOutputFile("FIGURE", tr("Figure (SVG)")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))
        self.addOutput(QgsProcessingOutputString("BEST", tr("Name of the first")))
        self.addOutput(QgsProcessingOutputFile("BEST_MODEL", tr("Model of the first")))
        self.addOutput(QgsProcessingOutputNumber("IOU", tr("Its IoU")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = dataset_problems(self.parameterAsString(parameters, "DATASET", context))
        try:
            return found or self._submission(parameters, context).job.problems()
        except GeoSegError as error:
            return [Problem(error.code, error.message, error.hint)]

    def _submission(self, parameters: Parameters, context: QgsProcessingContext) -> Submission:
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        listed = self.parameterAsString(parameters, "BAND_SETS", context).strip()
        if listed == KINDS:
            sets = experiments.band_sets_of(publish.read_dataset(source))
        else:
            sets = experiments.named_sets(listed)
        return experiments.compare(
            Path(self.parameterAsString(parameters, "OUTPUT", context)),
            source,
            self.parameterAsEnumStrings(parameters, "MODELS", context),
            sets,
            self.parameterAsInt(parameters, "SEEDS", context),
            self.parameterAsEnumString(parameters, "PRESET", context),
            **fields_from(self, parameters, context, CompareJob, ("minutes", "split", *ADVANCED)),
        )

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        submission = self._submission(parameters, context)
        try:
            result = self.run_engine([submission], feedback)
        except Cancelled:
            result = experiments.read_comparison(submission.folder)
            if not result:
                raise
            feedback.pushWarning(tr("Cancelled; finished runs are kept. Run it again to resume."))
        for row in result.get("rows") or []:
            feedback.pushInfo(row_text(row))
        for item in result.get("unfinished") or []:
            feedback.pushWarning(f"{item.get('name')}: {item.get('error')} {item.get('hint', '')}".strip())
        return {"OUTPUT": str(submission.folder), **outputs(result)}


def outputs(result: dict[str, Any]) -> dict[str, Any]:
    """Files of a comparison, and its first row."""
    best: dict[str, Any] = next(iter(result.get("rows") or []), {})
    runs = best.get("runs") or []
    return {
        "TABLE": result.get("table"),
        "FIGURE": result.get("figure"),
        "REPORT": result.get("report"),
        "BEST": f"{best['model']}, {best['bands']}" if best else None,
        "BEST_MODEL": str(Path(runs[0]) / "model.onnx") if runs else None,
        "IOU": best.get("iou"),
    }


def row_text(row: dict[str, Any]) -> str:
    """A row of the table in one line."""
    iou = row.get("iou")
    text = tr("{}. {}, {}: IoU {}").format(
        row.get("rank"), row.get("model"), row.get("bands"), "–" if iou is None else f"{iou:.3f}"
    )
    interval = row.get("interval")
    return f"{text} ({interval[0]:.3f}–{interval[1]:.3f})" if interval else text
