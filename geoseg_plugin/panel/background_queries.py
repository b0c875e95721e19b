"""Small jobs in the background whose results go to a page: dry runs, descriptions, statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QObject

from ..contract import GeoSegError
from ..jobs.submission import Submission
from ..tasks.runner import TaskRunner
from .errors import problem_of

Receiver = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Query:
    """Jobs whose last result goes to a page; a newer query with the same key replaces an older one.

    Attributes:
        key: names the query.
        title: shown in the log.
        exports: write the inputs, in the task, before the engine starts.
        submissions: the jobs with their folders.
        on_result: gets the last result.
        on_problem: gets the problem if a job fails.
    """

    key: str
    title: str
    exports: Sequence[Callable[[], None]]
    submissions: list[Submission]
    on_result: Receiver
    on_problem: Receiver


class BackgroundQueries(QObject):
    """Runs one query after the other on a runner of their own, so that they never delay the user's jobs."""

    def __init__(self, runner: TaskRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._waiting: dict[str, Query] = {}
        self._current: Query | None = None
        self._awake = False
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed)
        runner.idle.connect(self._run_next)

    @property
    def busy(self) -> bool:
        """Whether a query runs or waits."""
        return (self._awake and bool(self._waiting)) or self._runner.busy

    def wake(self) -> None:
        """Run queries from now on; until then they wait, so that a hidden panel starts no engine."""
        self._awake = True
        self._run_next()

    def submit(self, query: Query) -> None:
        """Run a query as soon as the engine is free."""
        self._waiting[query.key] = query
        if not self._runner.busy:
            self._run_next()

    def withdraw(self, key: str) -> None:
        """Take a query back; its result is dropped."""
        self._waiting.pop(key, None)
        if self._current is not None and self._current.key == key:
            self._current = None

    def stop(self, key: str) -> None:
        """Take a query back and end the engine that works on it, because the user's job needs the machine."""
        working = self._current is not None and self._current.key == key
        self.withdraw(key)
        if working:
            self._runner.cancel()

    def close(self) -> None:
        """Drop all queries and end the runner."""
        self._waiting.clear()
        self._current = None
        self._runner.shutdown(stop=True)

    def _run_next(self) -> None:
        while self._awake and self._waiting and not self._runner.busy:
            query = self._waiting.pop(next(iter(self._waiting)))
            try:
                self._runner.start(query.title, list(query.exports), query.submissions)
            except GeoSegError as error:
                query.on_problem(problem_of(error))
                continue
            self._current = query

    def _on_finished(self, _title: str, result: dict[str, Any], _folder: str) -> None:
        query, self._current = self._current, None
        if query is not None and query.key not in self._waiting:
            query.on_result(result)

    def _on_failed(self, problem: dict[str, Any]) -> None:
        query, self._current = self._current, None
        if query is not None and query.key not in self._waiting:
            query.on_problem(problem)
