"""Errors as the panel shows them: one place below the step bar, with details in the log."""

from __future__ import annotations

from typing import Any

from ..contract import GeoSegError, Problem
from .dock import GeoSegDock
from .texts import tr


class ErrorReport:
    """Shows errors in the panel and writes them to its log."""

    def __init__(self, dock: GeoSegDock) -> None:
        self._dock = dock

    def show(self, error: GeoSegError | OSError) -> None:
        """Show an error, with its details in the log."""
        known = as_error(error)
        self.show_problem({**problem_of(known), "details": known.details})

    def show_problem(self, problem: dict[str, Any]) -> None:
        """Show a failure as the runner reports it.

        Args:
            problem: its `code`, `message` and `hint`, and with `details` further lines for the log.
        """
        message, hint = str(problem.get("message", "")), str(problem.get("hint", ""))
        self._dock.show_error(message, hint)
        self.log(Problem(str(problem.get("code", "")), message, hint))
        for line in str(problem.get("details") or "").splitlines():
            self._dock.footer.add_log("debug", line)

    def log(self, problem: Problem) -> None:
        """Write a problem to the log only, because its page shows it already."""
        self._dock.footer.add_log("error", f"{problem.message} {problem.hint}".strip())


def as_error(error: GeoSegError | OSError) -> GeoSegError:
    """Return an error of the file system as one of GeoSeg."""
    if isinstance(error, GeoSegError):
        return error
    return GeoSegError("not_writable", str(error), tr("Choose another workspace folder on the page Engine."))


def problem_of(error: GeoSegError) -> dict[str, Any]:
    """Return an error as a row of a list of problems."""
    return {"severity": "error", "code": error.code, "message": error.message, "hint": error.hint}


def problem_text(problem: dict[str, Any]) -> str:
    """Return a failure in one line."""
    return f"{problem.get('message', '')} {problem.get('hint', '')}".strip()
