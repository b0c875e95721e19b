"""Runs of the real engine through the plugin's tasks."""

from __future__ import annotations

from typing import Any

from waiting import wait_for

from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.tasks.execution import Launch
from geoseg_plugin.tasks.runner import TaskRunner


def run(environment: Environment, submission: Any) -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
    runner = TaskRunner(launch=lambda: Launch(environment.python))
    hellos: list[dict[str, Any]] = []
    done: list[Any] = []
    failed: list[Any] = []
    runner.hello_received.connect(hellos.append)
    runner.finished.connect(lambda title, result, folder: done.append(result))
    runner.failed.connect(failed.append)
    with wait_for(runner.idle, 120.0):
        runner.start(submission.title, None, [submission])
    return hellos, done, failed
