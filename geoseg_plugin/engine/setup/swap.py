"""A new environment beside the old one: copied by hard links, and swapped by renaming when it has proved itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ...contract import Cancelled, GeoSegError
from ..environment import STAMP_FILE, interpreter
from ..liveness import answer
from .places import Places, scripts_dir
from .steps import STATE_FILE

RELEASED_S = 5.0
"""A program that was told to end needs a moment."""
LEFT_OUT = ("check",)
WRITTEN_IN_PLACE = ("pyvenv.cfg", STAMP_FILE)
"""Files that are copied, because somebody may write into them."""
MARKS = (STAMP_FILE, STATE_FILE)
"""Files that state what is installed: copied last, so that half a copy never looks like a whole one."""


def clone(source: Path, target: Path, is_cancelled: Callable[[], bool], copy: bool = False) -> None:
    """Copy an environment, files by hard links where the disk can do that; a rest of an earlier copy goes first.

    Tools replace files, they do not write into them, and Python does so with compiled files: the original stays as it
    is.

    Args:
        source: environment.
        target: new folder.
        is_cancelled: whether to stop.
        copy: copy all files.

    Raises:
        Cancelled: the rest of the copy is removed when it is made again.
    """
    if target.exists():
        shutil.rmtree(target)
    for place, folders, names in os.walk(source):
        if is_cancelled():
            raise Cancelled
        if Path(place) == source:
            folders[:] = [name for name in folders if name not in LEFT_OUT]
        programs = Path(place) == scripts_dir(source)
        inside = target / os.path.relpath(place, source)
        inside.mkdir(parents=True, exist_ok=True)
        for name in [item for item in folders if Path(place, item).is_symlink()]:
            _link(Path(place, name), inside / name, copy)
            folders.remove(name)
        for name in names:
            if Path(place) != source or name not in MARKS:
                _link(Path(place, name), inside / name, copy or programs or name in WRITTEN_IN_PLACE)
    for name in MARKS:
        if (source / name).is_file():
            _link(source / name, target / name, True)


def _link(source: Path, target: Path, copy: bool) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    if not copy:
        try:
            target.hardlink_to(source)
        except OSError:
            pass
        else:
            return
    shutil.copy2(source, target)


def swap(places: Places) -> None:
    """Let the new environment take the place of the old one; the old one is kept until this is done.

    Raises:
        GeoSegError: `install_in_use` if a program still runs in the old one; it stays, and the new one waits.
    """
    if places.former.exists():
        shutil.rmtree(places.former)
    if is_used(places.root):
        raise _in_use(places, "a program runs in it")
    try:
        if places.root.exists():
            places.root.rename(places.former)
        places.staging.rename(places.root)
    except OSError as error:
        if not places.root.exists() and places.former.exists():
            places.former.rename(places.root)
        raise _in_use(places, error.strerror or str(error)) from error
    rewrite_programs(places.root, places.staging)


def check_unused(root: Path) -> None:
    """Refuse to change or remove an environment in its place while a program runs in it.

    Raises:
        GeoSegError: `install_in_use`.
    """
    end = time.monotonic() + RELEASED_S
    while is_used(root):
        if time.monotonic() < end:
            time.sleep(0.2)
            continue
        raise GeoSegError(
            "install_in_use",
            f"{root} is in use: a program runs in it.",
            "Wait until running jobs are done, close other QGIS windows, and try again.",
        )


def _in_use(places: Places, why: str) -> GeoSegError:
    return GeoSegError(
        "install_in_use",
        f"The new environment is ready, but {places.root} is in use: {why}.",
        "Wait until running jobs are done, close other QGIS windows, and set up again: nothing is loaded again.",
    )


def is_used(root: Path) -> bool:
    """Whether a program runs with the interpreter of an environment, e.g. a training of another QGIS.

    Windows itself refuses to rename the folder then, so that it is not looked for there.
    """
    if sys.platform == "win32":
        return False
    programs = scripts_dir(root).resolve()
    if not Path("/proc/self/cmdline").exists():
        names = {f"{interpreter(root)}", f"{programs / interpreter(root).name}"}
        shown = answer(["ps", "-ww", "-axo", "args="]).stdout.splitlines()
        return any(line.startswith(f"{name} ") for line in shown for name in names)
    for record in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            started = os.fsdecode(record.read_bytes().split(b"\0")[0])
            # through a link to the folder, or to one above it, it has another name
            if (
                "python" in Path(started).name
                and (record.parent / "cwd" / started).parent.resolve() == programs
            ):
                return True
    return False


def recover(places: Places) -> bool:
    """Repair a swap that was interrupted between its two renames. Returns whether it was."""
    if not places.former.exists():
        return False
    if interpreter(places.root).exists():
        rewrite_programs(places.root, places.staging)  # it may have ended before it did that
        shutil.rmtree(places.former, ignore_errors=True)
        return False
    whole = (places.staging / STAMP_FILE).is_file() and interpreter(places.staging).exists()
    source = places.staging if whole else places.former
    if places.root.exists():
        shutil.rmtree(places.root)
    source.rename(places.root)
    if whole:
        rewrite_programs(places.root, places.staging)
    return True


def drop_former(places: Places) -> None:
    """Remove the old environment after the new one has taken its place; what is still in use goes the next time."""
    shutil.rmtree(places.former, ignore_errors=True)


def rewrite_programs(root: Path, earlier: Path) -> None:
    """Let the programs of an environment name its present folder; uv writes them so that they need not.

    On Windows they are binary; the engine starts none of them by its name, only by `python -m`.

    Args:
        root: folder of the environment.
        earlier: folder in which it was made.
    """
    old, new = str(earlier).encode(), str(root).encode()
    places = [item for item in scripts_dir(root).glob("*") if item.is_file() and not item.is_symlink()]
    for file in [*places, root / "pyvenv.cfg"]:
        with contextlib.suppress(OSError):
            data = file.read_bytes()
            if old in data and (file.name == "pyvenv.cfg" or data.startswith((b"#!", b"@echo"))):
                partial = file.with_name(file.name + ".part")
                partial.write_bytes(data.replace(old, new))
                partial.chmod(file.stat().st_mode)
                partial.replace(file)


def relink_python(root: Path, earlier: Path, now: Path) -> None:
    """Let an environment use its own Python in another folder.

    Args:
        root: folder of the environment.
        earlier: folder of the Python when the environment was made.
        now: where it is.
    """
    config = root / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(str(earlier), str(now)), encoding="utf-8")
    if sys.platform == "win32":
        return
    for link in scripts_dir(root).glob("python*"):
        if link.is_symlink() and str(link.readlink()).startswith(str(earlier)):
            target = str(link.readlink()).replace(str(earlier), str(now), 1)
            link.unlink()
            link.symlink_to(target)


def swap_back(places: Places) -> None:
    """Put the old environment back, after the new one failed in its place; the new one is removed."""
    if places.former.exists():
        shutil.rmtree(places.root, ignore_errors=True)
        places.former.rename(places.root)
