"""The contract with the engine: the one import across the line between the processes."""

from __future__ import annotations

import sys

from .paths import training_dir

if str(training_dir()) not in sys.path:
    sys.path.insert(0, str(training_dir()))

from geoseg_engine.contract import *  # noqa: F403  # the whole contract
