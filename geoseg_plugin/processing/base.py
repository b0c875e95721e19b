"""What the algorithms share: words, checks before the start, the engine, and results that look right.

The life of one run: `checkParameterValues` (main thread) collects complaints; `prepareAlgorithm` (main
thread) takes snapshots of layers; `processAlgorithm` (any thread) writes exports and runs the engine;
`postProcessAlgorithm` (main thread) saves styles beside the files, which every later loading then finds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingUtils,
)
from qgis.PyQt.QtGui import QIcon

from ..contract import Cancelled, GeoSegError, Problem
from ..engine.environment import check
from ..forms.help import help_text
from ..jobs.submission import Submission
from ..layers.inputs.folder import Export, InputFolder, RefusedRasters
from ..layers.publish import Item, style_file
from ..paths import icon, plugin_dir, resource
from ..tasks.execution import engine_environment
from ..tasks.feedback import run_with_feedback
from .inputs.wholepaths import with_whole_paths
from .parameters import Parameters, tr, with_files_in_folders, with_names


class GeoSegAlgorithm(QgsProcessingAlgorithm):
    """Base of all algorithms: subclasses say what they are called and do `gather` and `work`.

    Attributes:
        ID: name after `geoseg:`; never renamed after release.
        TITLE, GROUP: as shown in the Toolbox, in English; GROUP is one of provider.GROUPS.
        TAGS: words by which the Toolbox finds it.
        LOGS_WARNINGS: the engine says warnings of this job in its log already.
    """

    ID = ""
    TITLE = ""
    GROUP = "data"
    TAGS: tuple[str, ...] = ()
    LOGS_WARNINGS = False

    def __init__(self) -> None:
        super().__init__()
        self.styled_later: list[tuple[Item, dict[str, str]]] = []
        self._given: Parameters = {}

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        """Everything that can be known to be wrong before the start."""
        return []

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Main thread: turn layers into plain data."""

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Any thread: run the engine. Returns the outputs."""
        raise NotImplementedError

    def run_engine(self, submissions: list[Submission], feedback: QgsProcessingFeedback) -> dict[str, Any]:
        """Run jobs and return the last result. Any thread.

        Args:
            submissions: the jobs, in their order.
            feedback: gets progress and warnings, and can cancel.

        Raises:
            Cancelled: if the feedback was cancelled; GeoSegError for every failure.
        """
        result = run_with_feedback(submissions, feedback)[-1]
        for problem in () if self.LOGS_WARNINGS else result.get("warnings") or ():
            feedback.pushWarning(f"{problem.get('message', '')} {problem.get('hint', '')}".strip())
        return result

    def run_with_inputs(
        self, make: Callable[[InputFolder], list[Submission]], folder: Path, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run jobs on layers and return the last result. Any thread.

        Where the engine cannot open the file of a raster, QGIS writes a copy and the jobs are run again.

        Args:
            make: locates snapshots in the folder and returns the jobs that read them.
            folder: gets copies of layers.
            feedback: gets progress and warnings, and can cancel.

        Raises:
            Cancelled: if the feedback was cancelled; GeoSegError for every failure, `export_failed` among them.
        """
        refused = RefusedRasters()
        written: set[Path] = set()
        while True:
            inputs = InputFolder(folder, refused.layer_ids)
            submissions = make(inputs)
            write_exports(inputs.exports, written, feedback)
            try:
                return self.run_engine(submissions, feedback)
            except GeoSegError as error:
                problem = {"code": error.code, "message": error.message}
                if refused.note(problem, inputs.rasters) is None:
                    raise

    def style_later(self, item: Item, notes: dict[str, str]) -> None:
        """Save style and facts beside a result once back on the main thread."""
        self.styled_later.append((item, notes))

    def job_folder(self) -> Path:
        """A new folder for a job whose record need not be kept; QGIS removes it when it is closed."""
        folder = Path(QgsProcessingUtils.generateTempFilename("geoseg_job"))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def prepareAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        self._given = parameters = self._plain(parameters, context)
        problems = [*engine_problems(), *self.parameter_problems(parameters, context)]
        errors = [item for item in problems if item.severity == "error"]
        for item in problems:
            if item.severity == "warning":
                feedback.pushWarning(f"{item.message} {item.hint}")
        if errors:
            raise QgsProcessingException(as_text(errors))
        try:
            self.gather(parameters, context, feedback)
        except GeoSegError as error:
            raise QgsProcessingException(f"{error.message} {error.hint}") from error
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        try:
            return self.work(self._given, context, feedback)
        except Cancelled:
            feedback.pushInfo(tr("Cancelled."))
            return {}
        except GeoSegError as error:
            if error.details:
                feedback.pushConsoleInfo(error.details)
            raise QgsProcessingException(f"{error.message} {error.hint}") from error
        except OSError as error:
            raise QgsProcessingException(
                tr("{}: {}. Choose a folder that you may write to, with enough room.").format(
                    error.filename or tr("A file"), error.strerror or error
                )
            ) from error

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for item, notes in self.styled_later:
            style_file(item, notes)
        self.styled_later.clear()
        return {}

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        parameters = self._plain(parameters, context)
        valid, message = super().checkParameterValues(parameters, context)
        if not valid:
            return valid, message
        problems = [*engine_problems(), *self.parameter_problems(parameters, context)]
        errors = [item for item in problems if item.severity == "error"]
        return not errors, as_text(errors)

    def _plain(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        """The parameters with names for numbers of options, no relative path, and files instead of their folders."""
        return with_files_in_folders(with_whole_paths(self, with_names(self, parameters), context))

    def name(self) -> str:
        return self.ID

    def displayName(self) -> str:
        return tr(self.TITLE)

    def group(self) -> str:
        return tr(GROUPS[self.GROUP])

    def groupId(self) -> str:
        return self.GROUP

    def tags(self) -> list[str]:
        return ["geoseg", "segmentation", "deep learning", *self.TAGS]

    def icon(self) -> QIcon:
        return QIcon(icon("geoseg.svg"))

    def shortHelpString(self) -> str:
        path = resource("help", f"{self.ID}.html")
        return help_text(self, path.read_text(encoding="utf-8")) if path.exists() else ""

    def createInstance(self) -> GeoSegAlgorithm:
        return type(self)()


def write_exports(exports: Iterable[Export], written: set[Path], feedback: QgsProcessingFeedback) -> None:
    """Write the files that are not written yet. Any thread.

    Args:
        exports: write a file each.
        written: paths of the files that are written; gets those that are written now.
        feedback: gets a note for each.
    """
    for export in exports:
        if export.path not in written:
            feedback.pushInfo(export.note)
            export()
            written.add(export.path)


GROUPS = {"data": "1 Data", "training": "2 Training", "map": "3 Prediction"}
"""Group id -> title in the Toolbox; numbered so that they stand in the order of the work."""


def engine_problems() -> list[Problem]:
    """Why the engine cannot run, with how to set it up in QGIS and in a shell."""
    problems = check(engine_environment())
    where = tr("Or run in a shell, in the folder {}: python3 -m geoseg_plugin.engine.installer").format(
        plugin_dir().parent
    )
    return [
        dataclasses.replace(item, hint=f"{item.hint} {where}") if item.code == "no_engine" else item
        for item in problems
    ]


def as_text(problems: list[Problem]) -> str:
    """Problems as sentences, each with its cure."""
    return " ".join(f"{item.message} {item.hint}".strip() for item in problems)
