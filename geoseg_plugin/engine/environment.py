"""The engine's Python environment: where it is, whether it is whole, and what it must not inherit."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..contract import GeoSegError, Problem, is_foreign, kept_json
from ..paths import training_dir
from .setup.redaction import redacted

STAMP_FILE = "geoseg-engine.json"
"""Written into an environment when every step of its installation is done."""

DROPPED = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "QGIS_PREFIX_PATH",
    "QT_PLUGIN_PATH",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "__PYVENV_LAUNCHER__",
)
LOADER_PATHS = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
                "DYLD_INSERT_LIBRARIES", "DYLD_FRAMEWORK_PATH", "PATH")  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """An interpreter with the engine's packages; `managed` if GeoSeg made it, else the user's own."""

    python: Path
    managed: bool


def default_root() -> Path:
    """Folder of the managed environment: GEOSEG_ENGINE_DIR, else where it was moved, else in the user's data folder."""
    chosen = os.environ.get("GEOSEG_ENGINE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    try:
        moved = _location_file().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        moved = ""
    return Path(moved) if moved else data_folder() / "engine"


def data_folder() -> Path:
    """GeoSeg's folder in the user's data folder, whether or not it exists."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = _home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or _home() / ".local" / "share")
    return base / "geoseg"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise GeoSegError("not_writable", "This user has no home folder.",
                          "Set GEOSEG_ENGINE_DIR to a folder that you may write to.") from error  # fmt: skip


def set_location(root: Path) -> None:
    """Let the default folder of the environment be another one from now on.

    Args:
        root: folder of the environment.
    """
    file = _location_file()
    if root == data_folder() / "engine":
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".part")
    partial.write_text(str(root), encoding="utf-8")
    partial.replace(file)


def _location_file() -> Path:
    return data_folder() / "engine.location"


def interpreter(root: Path) -> Path:
    """The interpreter of an environment at `root`, whether or not it exists."""
    return root / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def find(root: Path | None = None, chosen_python: str = "") -> Environment | None:
    """Return the environment to use, or None if there is none. It looks at files only, so it is quick.

    GEOSEG_ENGINE_PYTHON goes before `chosen_python` (the user's own), which goes before the managed one.

    Args:
        root: folder of the managed environment; None is the default one.
        chosen_python: the user's own interpreter; empty uses the managed environment.
    """
    own = os.environ.get("GEOSEG_ENGINE_PYTHON") or chosen_python
    if own:
        return Environment(Path(own), managed=False) if Path(own).is_file() else None
    root = root or default_root()
    python = interpreter(root)
    if python.is_file() and (root / STAMP_FILE).is_file():
        return Environment(python, managed=True)
    return None


def check(environment: Environment | None) -> list[Problem]:
    """Why the environment cannot be used, or should be set up again; empty when all is well."""
    if environment is None:
        own = os.environ.get("GEOSEG_ENGINE_PYTHON")
        if own:
            return [Problem("no_engine", f"GEOSEG_ENGINE_PYTHON names {own}, which does not exist.",
                            "Correct or remove the variable.")]  # fmt: skip
        return [Problem("no_engine", "The engine is not set up yet.", "Open the page Engine and set it up.")]
    if not environment.python.is_file():
        return [Problem("no_engine", f"{environment.python} does not exist.",
                        "Set up the engine again, or choose another Python.")]  # fmt: skip
    if environment.managed and stamp(environment).get("requirements") != requirements_hash():
        return [Problem("engine_outdated", "The engine was set up by another version of GeoSeg.",
                        "Set it up again: only what changed is installed.", "warning")]  # fmt: skip
    return []


def stamp(environment: Environment) -> dict[str, str]:
    """Return what the installer wrote when it was done; empty for an environment of the user's own."""
    file = environment.python.parent.parent / STAMP_FILE
    data = kept_json(file)
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def requirements_hash() -> str:
    """Fingerprint of the pinned lists that an environment is made from."""
    import hashlib

    digest = hashlib.sha256()
    folder = training_dir() / "requirements"
    for file in sorted((*folder.glob("*.txt"), *folder.glob("wheels/*.txt"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def cleaned(environ: Mapping[str, str] | None = None, training: Path | None = None) -> dict[str, str]:
    """Return the variables of an engine process: nothing of QGIS's Python, GDAL, PROJ or Qt.

    Drops `DROPPED`, all PIP_*, what leads GDAL and PROJ elsewhere, and those entries of loader paths that lie
    inside QGIS; sets PYTHONPATH to the engine's folder alone.

    Args:
        environ: variables of this process; None uses those of the system.
        training: folder that holds `geoseg_engine`; None is that of the plugin.
    """
    source = dict(os.environ if environ is None else environ)
    kept = {name: value for name, value in source.items()
            if not (name.upper() in DROPPED or name.upper().startswith("PIP_") or is_foreign(name))}  # fmt: skip
    inside = qgis_folders(source)
    for name in [name for name in kept if name.upper() in LOADER_PATHS]:
        separator = " " if name == "LD_PRELOAD" else os.pathsep
        parts = [part for part in kept[name].split(separator) if part and not _is_inside(part, inside)]
        kept[name] = separator.join(parts)
        if not parts:
            del kept[name]
    kept.update(PYTHONPATH=str(training or training_dir()), PYTHONSAFEPATH="1", PYTHONUTF8="1",
                PYTHONNOUSERSITE="1")  # fmt: skip
    return kept


def qgis_folders(environ: Mapping[str, str]) -> list[Path]:
    """Folders of a bundled QGIS (installer, app bundle, AppImage); none where the system's is used.

    System folders such as /usr are never among them: their libraries are everybody's.
    """
    named = [environ.get(name, "") for name in ("QGIS_PREFIX_PATH", "OSGEO4W_ROOT", "APPDIR", "SNAP")]
    bundle = next((str(item) for item in Path(sys.executable).parents if item.suffix == ".app"), "")
    folders = [Path(item) for item in (*named, bundle) if item]
    system = {Path(item) for item in ("/", "/usr", "/usr/local", "/opt", "/opt/homebrew")}
    return [item for item in folders if item not in system]


def _is_inside(part: str, folders: list[Path]) -> bool:
    return any(Path(part) == folder or folder in Path(part).parents for folder in folders)


def diagnostics(environment: Environment | None, probe: Mapping[str, object] | None = None) -> str:
    """Return a text to copy into a question: machine, interpreter, problems, and the result of the probe.

    Args:
        environment: that is used; None if there is none.
        probe: result of its probe, if there is one.
    """
    lines = [
        f"System: {platform.platform()}, {os.cpu_count()} processors",
        f"QGIS's Python: {sys.version.split()[0]} ({sys.executable})",
        f"Engine folder: {default_root()}",
        f"Engine code: {training_dir()}",
        f"Engine Python: {environment.python if environment else 'none'}"
        + (" (managed)" if environment and environment.managed else ""),
    ]
    if environment:
        lines += [f"Stamp {key}: {value}" for key, value in stamp(environment).items()]
    lines += [f"{item.severity}: {item.message} {item.hint}" for item in check(environment)]
    for key, value in (probe or {}).items():
        lines.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    return redacted("\n".join(lines))
