"""Unpack the plugin into a QGIS profile of its own and switch it on there.

Serves `make run`, the tests, and `QGIS_CUSTOM_CONFIG_PATH=build/qgis qgis_process run geoseg:…`.
"""

from __future__ import annotations

import argparse
import configparser
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import package


def stage(config: Path, archive: Path | None = None) -> Path:
    """Install the plugin into `config`/profiles/default. Returns the profile's folder.

    Args:
        config: folder for `qgis --profiles-path` or QGIS_CUSTOM_CONFIG_PATH; made if needed.
        archive: the plugin's zip; None builds one.
    """
    profile = config / "profiles" / "default"
    plugins = profile / "python" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(plugins / package.NAME, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        archive = archive or package.build(Path(scratch) / "plugin.zip")
        with zipfile.ZipFile(archive) as members:
            members.extractall(plugins)
    switch_on(profile / "QGIS" / "QGIS3.ini")
    return profile


def switch_on(settings: Path) -> None:
    """Enable the plugin and Processing in a QGIS3.ini, keeping what else is there."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(settings, encoding="utf-8")
    if not parser.has_section("PythonPlugins"):
        parser.add_section("PythonPlugins")
    for name in (package.NAME, "processing"):
        parser.set("PythonPlugins", name, "true")
    settings.parent.mkdir(parents=True, exist_ok=True)
    with settings.open("w", encoding="utf-8") as stream:
        parser.write(stream, space_around_delimiters=False)


def main() -> int:
    """Stage and name the profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=package.ROOT / "build" / "qgis")
    print(stage(parser.parse_args().config.absolute()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
