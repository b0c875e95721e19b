"""Questions to the engine: small jobs in the background whose answers go to a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QObject

from ..contract import GeoSegError
from ..jobs.submission import Submission
from ..tasks.runner import TaskRunner

Answer = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Question:
    """A newer question with the same key replaces an older one."""

    key: str
    title: str
    exports: Sequence[Callable[[], None]]
    submissions: list[Submission]
    on_answer: Answer
    on_problem: Answer


class Questions(QObject):
    """Asks one after the other, so that dry runs never stand in the way of the user's jobs."""

    def __init__(self, runner: TaskRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._waiting: dict[str, Question] = {}
        self._asking: Question | None = None
        self._awake = False
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed)
        runner.idle.connect(self._ask_next)

    @property
    def busy(self) -> bool:
        """Whether a question is being answered or waits."""
        return (self._awake and bool(self._waiting)) or self._runner.busy

    def wake(self) -> None:
        """Begin to ask; until then questions wait, so that no engine starts for a panel nobody sees."""
        self._awake = True
        self._ask_next()

    def ask(self, question: Question) -> None:
        """Ask as soon as the engine is free; the newest question of a key wins."""
        self._waiting[question.key] = question
        if not self._runner.busy:
            self._ask_next()

    def forget(self, key: str) -> None:
        """Take a question back; its answer is dropped."""
        self._waiting.pop(key, None)
        if self._asking is not None and self._asking.key == key:
            self._asking = None

    def stop(self, key: str) -> None:
        """Take a question back and end the engine that works on it: the user's job needs the machine."""
        working = self._asking is not None and self._asking.key == key
        self.forget(key)
        if working:
            self._runner.cancel()

    def close(self) -> None:
        """Drop all questions and end the runner."""
        self._waiting.clear()
        self._asking = None
        self._runner.shutdown(stop=True)

    def _ask_next(self) -> None:
        while self._awake and self._waiting and not self._runner.busy:
            question = self._waiting.pop(next(iter(self._waiting)))
            try:
                self._runner.start(question.title, list(question.exports), question.submissions)
            except GeoSegError as error:
                problem = {"code": error.code, "message": error.message, "hint": error.hint}
                question.on_problem(problem)
                continue
            self._asking = question

    def _on_finished(self, _title: str, result: dict[str, Any], _folder: str) -> None:
        question, self._asking = self._asking, None
        if question is not None and question.key not in self._waiting:
            question.on_answer(result)

    def _on_failed(self, problem: dict[str, Any]) -> None:
        question, self._asking = self._asking, None
        if question is not None and question.key not in self._waiting:
            question.on_problem(problem)
