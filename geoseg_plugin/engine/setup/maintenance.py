"""After the set-up: repair the environment, move it to another disk, remove it, say how large it is, read its log."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...contract import Cancelled, GeoSegError, kept_json, write_json
from ..environment import STAMP_FILE, Environment, default_root, interpreter, set_location
from ..liveness import last_lines, locked
from .finish import run_probe, write_command
from .installation import Installation
from .places import Places, bytes_of, check_outside_plugin, check_path_length, site_packages
from .plan import Listener, Network, Plan
from .records import Broken, broken_packages
from .redaction import redacted
from .space import MB, check_space
from .steps import STATE_FILE
from .swap import check_unused, clone, relink_python, rewrite_programs


@dataclass(frozen=True)
class Sizes:
    """Bytes on the disk: of the environment, of downloads that are kept, and of the Python and uv that were brought.

    Files that environment and cache share count once, for the environment.
    """

    environment_bytes: int
    cache_bytes: int
    python_bytes: int


def sizes(root: Path) -> Sizes:
    """Return how large an environment and what belongs to it are. Reads every folder: not for the main thread."""
    places = Places.of(root)
    inside = 0 if places.can_swap else bytes_of(places.cache)
    return Sizes(
        bytes_of(places.root) - inside,
        bytes_of(places.cache),
        bytes_of(places.own_python) + bytes_of(places.own_uv),
    )


def plan_of(root: Path) -> Plan:
    """Return the plan that an environment was made by, from its stamp; a default one where it has none."""
    places = Places.of(root)
    kept = (kept_json(folder / STAMP_FILE) for folder in (places.root, places.staging, places.former))
    stamp: dict[str, Any] = next(
        (item for item in kept if isinstance(item, dict)), {}
    )  # a swap may be half done
    build = str(stamp.get("build") or ("gpu" if stamp.get("device") == "gpu" else "auto"))
    if not stamp.get("build") and stamp.get("device") == "cpu":
        build = "cpu"
    return Plan(
        root,
        build,
        with_richdem=str(stamp.get("with_richdem", "True")) == "True",
        dev=str(stamp.get("dev")) == "True",
        zoo=str(stamp.get("zoo")) == "True",
        openvino=str(stamp.get("openvino")) == "True",
        tool=str(stamp.get("tool") or "auto") if stamp.get("tool") == "pip" else "auto",
    )


def check_files(root: Path) -> list[Broken]:
    """Return the packages of an environment whose files differ from their records; less than a second."""
    return broken_packages(site_packages(root))


def repair(root: Path, listener: Listener | None = None, network: Network | None = None) -> Environment:
    """Look at every step and every file again, and install what is not whole.

    Raises:
        GeoSegError: as the installation.
    """
    root = Places.of(root).root
    plan = plan_of(root)
    check_unused(root)
    (root / STAMP_FILE).unlink(missing_ok=True)
    state = kept_json(root / STATE_FILE)
    if isinstance(state, dict):
        write_json(
            root / STATE_FILE,
            {name: value if name == "richdem" else "again" for name, value in state.items()},
        )
    return Installation(plan, listener, network).run()


def remove(root: Path, listener: Listener | None = None) -> None:
    """Remove an environment with its cache, its own Python and its log.

    Args:
        root: folder of the environment.
        listener: is kept informed; it cannot stop this.

    Raises:
        GeoSegError: `install_busy`, `install_in_use`, or `not_writable` if there is no environment of GeoSeg.
    """
    places = Places.of(root)
    known = (STAMP_FILE, STATE_FILE, "pyvenv.cfg")
    if places.root.exists() and not any((places.root / name).exists() for name in known):
        raise GeoSegError("not_writable", f"{places.root} was not made by GeoSeg; nothing is removed.",
                          "Remove the folder by hand if it is not needed.")  # fmt: skip
    if not places.lock.parent.exists():
        return
    with locked(places.lock):
        check_unused(places.root)
        folders = (places.root, places.staging, places.former, places.cache, places.own_python, places.own_uv)
        for done, folder in enumerate(folders):
            (listener or Listener()).on_progress("Remove the engine", done / len(folders))
            _remove_folder(folder)
    for file in (places.log, places.lock):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def clear_cache(root: Path) -> None:
    """Remove what was downloaded; the environment does not need it."""
    places = Places.of(root)
    if places.cache.exists():
        with locked(places.lock):
            _remove_folder(places.cache)


def move(root: Path, target: Path, listener: Listener | None = None) -> Environment:
    """Move an environment to another folder or disk. The old one goes when the engine runs in the new one.

    If it was the default folder, that points to the new one from then on.

    Args:
        root: present folder.
        target: new folder; it must be empty or not exist.
        listener: is kept informed; may stop it.

    Raises:
        GeoSegError: `not_writable` if the target is in use, `disk_full`, `path_too_long`, as the probe; Cancelled.
    """
    listener = listener or Listener()
    old, new = Places.of(root), Places.of(target)
    check_path_length(new.root)
    check_outside_plugin(new.root)
    _check_apart(old, new)
    if new.root.exists() and any(new.root.iterdir()):
        raise GeoSegError("not_writable", f"{new.root} is not empty.", "Choose a new or empty folder.")
    check_unused(old.root)
    found = sizes(old.root)
    check_space(new.root, (found.environment_bytes + found.python_bytes) / MB * 1.05)
    with locked(old.lock):
        try:
            _copy(old, new, listener)
            listener.on_progress("Check the engine", 0.9)
            run_probe(interpreter(new.root), new.root / "check", listener.is_cancelled)
        except (GeoSegError, OSError):
            for folder in (new.root, new.own_python, new.own_uv):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if is_default(root) or is_default(old.root):
            set_location(new.root)
    remove(old.root)
    listener.on_progress("Ready", 1.0)
    return Environment(interpreter(new.root), managed=True)


def _check_apart(old: Places, new: Places) -> None:
    """Refuse to move an environment into itself, or into what goes with it."""
    target = new.root.resolve()
    for folder in (old.root, old.staging, old.former, old.cache, old.own_python, old.own_uv):
        if target.is_relative_to(folder.resolve()):
            raise GeoSegError("not_writable", f"{new.root} is inside {folder}, which is removed after the move.",
                              "Choose another folder.")  # fmt: skip


def _copy(old: Places, new: Places, listener: Listener) -> None:
    new.root.parent.mkdir(parents=True, exist_ok=True)
    listener.on_progress("Copy the environment", 0.0)
    for share, (source, target) in enumerate(
        ((old.root, new.root), (old.own_python, new.own_python), (old.own_uv, new.own_uv))
    ):
        if source.exists():
            listener.on_line(f"{source} -> {target}")
            clone(source, target, listener.is_cancelled, copy=True)
        listener.on_progress("Copy the environment", 0.3 * (share + 1))
    if listener.is_cancelled():
        raise Cancelled
    rewrite_programs(new.root, old.root)
    if new.own_python.exists():
        relink_python(new.root, old.own_python, new.own_python)
    write_command(new.root)


def log_file(root: Path) -> Path:
    """Return the log of an environment's installations, whether or not it exists."""
    return Places.of(root).log


def log_text(root: Path, lines: int = 200) -> str:
    """Return the end of the log, without user names and secrets; empty if there is none."""
    return redacted(last_lines(log_file(root), lines))


def is_default(root: Path) -> bool:
    """Whether a folder is the one that QGIS uses."""
    return Path(root).absolute() == default_root().absolute()


def _remove_folder(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise GeoSegError(
            "install_in_use",
            f"{folder} cannot be removed: {error.strerror or error}.",
            "Wait until running jobs are done, close other QGIS windows, and try again.",
        ) from error
