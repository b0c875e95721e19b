"""The dependency graph of a map: what each stage is made from, what is out of date and why, how long it took.

    stack -> labels -> split -> model -> final -> map
                                  `-> accuracy

Plain data without a heavy import, so that panel, Toolbox and shell ask the same graph. A stage is made from parts: each
part is a setting, a file, or the output of a stage before it. The record keeps the parts of the last time; a stage is
out of date where a part differs, where its files are not those that it left, or where a stage before it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .contents import GEOPACKAGE, feature_changes, file_digest, layer_state, stamp
from .errors import counted
from .strictjson import kept_json

RECORD_VERSION = 1
MAX_SHOWN = 40
"""Characters of a value in a reason."""

Parts = Mapping[str, Any]
"""Title of a part -> its state as plain values: a setting's value, or what tells one state of a file from another."""
State = Literal["missing", "outdated", "current"]


@dataclass(frozen=True)
class Stage:
    """A stage of the graph.

    Attributes:
        key: by which records and results name it.
        title: on screen.
        needs: keys of the stages whose outputs it is made from.
        seconds: what it takes where that is not known, to share out the progress bar.
    """

    key: str
    title: str
    needs: tuple[str, ...] = ()
    seconds: float = 1.0


STAGES = (
    Stage("stack", "Stack"),
    Stage("labels", "Labels", ("stack",)),
    Stage("split", "Test areas", ("stack", "labels")),
    Stage("model", "Model", ("split",), 5.0),
    Stage("accuracy", "Accuracy", ("split", "model"), 2.0),
    Stage("final", "Final model", ("split", "model"), 5.0),
    Stage("map", "Map", ("model", "final"), 3.0),
)
"""Stages in the order in which they are made."""
TITLES = {stage.key: stage.title for stage in STAGES}


@dataclass(frozen=True)
class Made:
    """What a record keeps of a stage that was made.

    Attributes:
        parts: what it was made from.
        output: a short text, equal for equal results; stages after it are made from it.
        files: path of a result, relative to the folder of the record -> its stamp and its digest.
        seconds: what it took.
        result: of its job, as far as it is shown again.
    """

    parts: Parts
    output: str
    files: Mapping[str, tuple[list[int], str]] = field(default_factory=dict)
    seconds: float = 0.0
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageState:
    """Whether a stage is up to date.

    Attributes:
        key, title: of the stage.
        state: `missing` if it was never made, else `outdated` or `current`.
        reasons: short sentences; none where it is up to date.
        seconds: what it took last time; None where that is not known.
    """

    key: str
    title: str
    state: State
    reasons: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def current(self) -> bool:
        """Whether nothing is to be done."""
        return self.state == "current"


def state_of(
    stage: Stage, parts: Parts, made: Made | None, folder: Path, outdated: Iterable[str] = ()
) -> StageState:
    """Return the state of one stage.

    Args:
        stage: of the graph.
        parts: what it would be made from now.
        made: what the record keeps of it; None if it was never made.
        folder: of the record.
        outdated: keys of stages that are known to be out of date.
    """
    if made is None:
        return StageState(stage.key, stage.title, "missing", ("It has not been made yet.",))
    reasons = [
        *changes(made.parts, parts),
        *(
            file_reason(name, folder / name, kept)
            for name, kept in made.files.items()
            if is_other(folder / name, kept)
        ),
        *(f"{TITLES[key]}: out of date." for key in stage.needs if key in set(outdated)),
    ]
    return StageState(
        stage.key,
        stage.title,
        "outdated" if reasons else "current",
        tuple(dict.fromkeys(reasons)),
        made.seconds,
    )


def states(wanted: Mapping[str, Parts], record: Mapping[str, Made], folder: Path) -> tuple[StageState, ...]:
    """Return the state of every stage that is wanted, in the order in which they are made.

    A stage after one that is out of date counts as out of date, although it is kept if that one comes out the same.

    Args:
        wanted: key of a stage -> what it would be made from now.
        record: as of `read_record`.
        folder: of the record.
    """
    found: list[StageState] = []
    for stage in STAGES:
        if stage.key in wanted:
            waiting = [item.key for item in found if not item.current]
            found.append(state_of(stage, wanted[stage.key], record.get(stage.key), folder, waiting))
    return tuple(found)


def changes(before: Parts, now: Parts) -> list[str]:
    """Return a short sentence for each part that differs.

    Args:
        before, now: parts of the same stage.
    """
    found = []
    for title in dict.fromkeys((*now, *before)):
        old, new = before.get(title), now.get(title)
        if title not in before:
            found.append(f"{title}: new.")
        elif title not in now:
            found.append(f"{title}: no longer used.")
        elif old != new:
            found.append(_change(title, old, new))
    return found


def _change(title: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        counts = feature_changes(old, new)
        if counts is not None:
            added, gone = counts
            return f"{title}: {counted(added, 'feature')} new or edited, {counted(gone, 'feature')} gone or edited."
    if title in TITLES.values():
        return f"{title}: made again."
    short = [
        isinstance(item, str | int | float | bool) and len(str(item)) <= MAX_SHOWN for item in (old, new)
    ]
    if all(short):
        return f"{title}: {_shown(new)} instead of {_shown(old)}."
    return f"{title}: changed."


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"


def kept_file(path: Path) -> tuple[list[int], str]:
    """Return what a record keeps of a result: its stamp, and its digest.

    Args:
        path: of the file.
    """
    return stamp(path), content_of(path)


def content_of(path: Path) -> str:
    """Return a text that is equal for equal content; empty without a file.

    Of a GeoPackage its features count, not its bytes: QGIS writes styles into it.

    Args:
        path: of the file.
    """
    if path.suffix.lower() == GEOPACKAGE and path.exists():
        return str(layer_state(str(path), "", ())["whole"])
    return file_digest(path)


def is_other(path: Path, kept: tuple[list[int], str]) -> bool:
    """Return whether a file is not the one that was left: gone, or of other content.

    Args:
        path: of the file.
        kept: as of `kept_file`.
    """
    return stamp(path) != kept[0] and content_of(path) != kept[1]


def file_reason(name: str, path: Path, kept: tuple[list[int], str]) -> str:
    """Return why a stage is out of date whose file is not the one that it left."""
    return f"{name} was changed since." if stamp(path) and kept else f"{name} is not there."


def read_record(path: Path) -> dict[str, Made]:
    """Return what a record keeps; whatever is damaged or of another program counts as never made.

    Args:
        path: of the file.
    """
    found = kept_json(path)
    if not isinstance(found, dict) or found.get("version") != RECORD_VERSION:
        return {}
    kept = found.get("stages")
    stages = kept if isinstance(kept, dict) else {}
    made = {key: _made(stages.get(key)) for key in TITLES}
    return {key: item for key, item in made.items() if item is not None}


def record_json(record: Mapping[str, Made]) -> dict[str, Any]:
    """Return the content of a record's file.

    Args:
        record: key of a stage -> what is kept of it.
    """
    return {"version": RECORD_VERSION, "stages": dict(record)}


def _made(data: Any) -> Made | None:
    """What a record keeps of a stage; None where it does not have the form of one."""
    if not isinstance(data, dict):
        return None
    parts, output, seconds, result = (data.get(key) for key in ("parts", "output", "seconds", "result"))
    files = data.get("files")
    if not (isinstance(parts, dict) and isinstance(output, str) and output and isinstance(files, dict)):
        return None
    if not isinstance(seconds, int | float) or not isinstance(result, dict):
        return None
    kept: dict[str, tuple[list[int], str]] = {}
    for name, item in files.items():
        if not (
            isinstance(item, list)
            and len(item) == 2
            and isinstance(item[0], list)
            and isinstance(item[1], str)
        ):
            return None
        if not item[1] or Path(name).is_absolute() or ".." in Path(name).parts:
            return None
        kept[name] = item[0], item[1]
    return Made(parts, output, kept, float(seconds), result)


def forgotten(record: Mapping[str, Made], key: str) -> dict[str, Made]:
    """Return a record without a stage, as it is while the stage is being made.

    Args:
        record: key of a stage -> what is kept of it.
        key: of the stage.
    """
    return {name: made for name, made in record.items() if name != key}
