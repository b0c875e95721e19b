"""The user's settings for pip: index, certificates and proxy, from variables and configuration files.

They are read here so that uv, which knows nothing of pip's files, uses the same index.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

SECTIONS = ("global", "install")
REFUSED = ("target", "prefix", "root", "user", "require-virtualenv", "python", "dry-run", "report", "no-deps",
           "ignore-installed", "force-reinstall", "require-hashes", "no-binary", "only-binary", "log", "quiet",
           "verbose", "requirement", "editable")  # fmt: skip
"""Settings that would install elsewhere or otherwise; all other settings (index, proxy, certificates) stay."""


def pip_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the user's settings for `pip install`, e.g. `index-url`; variables go before files.

    Args:
        environ: variables; None uses those of this process.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, str] = {}
    for file in _files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        for section in SECTIONS:
            if parser.has_section(section):
                found.update({_key(name): " ".join(value.split()) for name, value in parser.items(section)})
    for name, value in environ.items():
        if name.upper().startswith("PIP_") and name.upper() != "PIP_CONFIG_FILE":
            found[_key(name[4:])] = value
    return {name: value for name, value in found.items() if name not in REFUSED}


def _key(name: str) -> str:
    return name.lower().replace("_", "-")


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Configuration files in the order in which they are read: those of the system, the user, the variable."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named and Path(named) == Path(os.devnull):
        return
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    if sys.platform == "win32":
        yield Path(environ.get("PROGRAMDATA", "C:\\ProgramData")) / "pip" / "pip.ini"
        yield home / "pip" / "pip.ini"
        yield Path(environ.get("APPDATA") or home) / "pip" / "pip.ini"
    else:
        if sys.platform == "darwin":
            yield Path("/Library/Application Support/pip/pip.conf")
        for folder in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
            yield Path(folder) / "pip" / "pip.conf"
        yield Path("/etc/pip.conf")
        yield home / ".pip" / "pip.conf"
        mac = home / "Library" / "Application Support" / "pip"
        if sys.platform == "darwin" and mac.is_dir():
            yield mac / "pip.conf"
        else:
            yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if named:
        yield Path(named)
