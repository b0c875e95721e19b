"""What the dialog of the set-up shows: builds, notes, and why a button cannot be pressed. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...engine.setup.builds import choices as build_choices
from ...panel.texts import tr
from .setup_state import SetupChoices, Situation, disk_problems, plan_text, size_text


@dataclass(frozen=True)
class BuildEntry:
    """A row of the list of builds; `note` says why it is doubtful."""

    key: str
    title: str
    note: str = ""


@dataclass(frozen=True)
class DialogView:
    """What the dialog shows.

    Attributes:
        choices: of the user.
        builds: that can run here, Automatic first.
        build_note: why this build, its size and time.
        python_found: interpreter that is taken if none is chosen.
        folder_used: folder that is taken if none is chosen.
        folder_note: free space there.
        size_note: what the engine takes.
        problems: why it cannot be set up with these choices, or what is doubtful about them.
        button: text of the button that sets up.
        why_no_setup, why_busy, why_no_engine, why_no_move: why those buttons cannot be pressed; empty if they can.
        why_no_folder: why no other folder can be chosen; empty if one can.
    """

    choices: SetupChoices
    builds: tuple[BuildEntry, ...] = ()
    build_note: str = ""
    python_found: str = ""
    folder_used: str = ""
    folder_note: str = ""
    size_note: str = ""
    problems: tuple[Any, ...] = ()
    button: str = ""
    why_no_setup: str = ""
    why_busy: str = ""
    why_no_engine: str = ""
    why_no_move: str = ""
    why_no_folder: str = ""


def dialog_view(now: Situation, busy: bool) -> DialogView:
    """Return what the dialog shows of a situation.

    Args:
        now: the situation.
        busy: whether a job or a set-up runs.
    """
    why_busy = tr("Something is running. Wait for it, or cancel it.") if busy else ""
    has_engine = bool(now.python) and now.managed
    no_engine = why_busy or ("" if has_engine else tr("There is no engine that GeoSeg set up."))
    button = tr("&Set up again") if has_engine else tr("&Set up the engine")
    named = tr("The environment variable GEOSEG_ENGINE_DIR names the folder.") if now.folder_named else ""
    there = (
        tr("The engine is there already: “Move to another disk…” changes the folder.") if has_engine else ""
    )
    look, proposal = now.look, now.proposal
    if look is None or proposal is None:
        waiting = tr("Looking at this computer…")
        return DialogView(
            now.choices,
            build_note=waiting,
            button=button,
            why_no_setup=waiting,
            why_busy=why_busy,
            why_no_engine=no_engine,
            why_no_move=no_engine or named,
            why_no_folder=named or there,
        )
    problems = (*proposal.problems, *disk_problems(now))
    blocked = next(
        (f"{item.message} {item.hint}".strip() for item in problems if item.severity == "error"), ""
    )
    note = f"{proposal.reason} {plan_text(now, proposal)}" if proposal.build is not None else proposal.reason
    return DialogView(
        now.choices,
        build_entries(now),
        note,
        tr("automatic: {}").format(look.python_path or tr("one is brought along")),
        tr("automatic: {}").format(look.folder),
        tr("{} free").format(size_text(look.free_mb)) if look.free_mb >= 0 else "",
        size_note(now),
        problems,
        button,
        why_busy or blocked,
        why_busy,
        no_engine,
        no_engine or named,
        named or there,
    )


def build_entries(now: Situation) -> tuple[BuildEntry, ...]:
    """Return Automatic and each build that can run here; doubtful ones are marked."""
    if now.look is None:
        return ()
    entries = [BuildEntry("auto", tr("Automatic"))]
    for choice in build_choices(now.look.machine):
        title = (
            tr("{} (experimental)").format(choice.build.title) if choice.experimental else choice.build.title
        )
        entries.append(BuildEntry(choice.build.key, title, choice.note))
    return tuple(entries)


def size_note(now: Situation) -> str:
    """Return where the engine is and what it takes with its downloads."""
    if not now.python:
        return tr("There is none.")
    if not now.managed:
        return tr("In use: {}, an environment of your own.").format(now.python)
    if now.look is None or now.look.size_mb < 0:
        return now.python
    return tr("{} in {}, downloads included.").format(size_text(now.look.size_mb), now.look.folder)
