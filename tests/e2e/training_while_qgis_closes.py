"""Run by QGIS itself (`qgis --code`): start a (fake) training, then close QGIS from its menu."""

# ruff: noqa: E402  (the path is made first)

import os
import sys
from pathlib import Path

import qgis.utils
from qgis.PyQt.QtCore import QTimer

ROOT = Path(os.environ["GEOSEG_ROOT"])
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "plugin")]

import fakes

from geoseg_plugin.contract import TrainJob
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.tasks.runner import TaskRunner

fakes.PYTHON = Path(os.environ["GEOSEG_FAKE_PYTHON"])
folder = Path(os.environ["GEOSEG_RUN"])
runner = TaskRunner(launch=lambda: fakes.fake_launch("succeeds", FAKE_EVENTS="400", FAKE_PAUSE_S="0.05"))
runner.start("Train", None, [Submission(TrainJob("dataset"), folder, "Train")])
runner.epoch_completed.connect(lambda event: QTimer.singleShot(1000, qgis.utils.iface.actionExit().trigger))
