"""Where the plugin's parts lie, in a checkout and in an installed zip. The only module that knows both."""

from __future__ import annotations

from pathlib import Path


def plugin_dir() -> Path:
    """The folder of the plugin package."""
    return Path(__file__).resolve().parent


def training_dir() -> Path:
    """The folder that holds the package `geoseg_engine`; what PYTHONPATH of the engine is set to."""
    return _part("training")


def resource(*parts: str) -> Path:
    """A file below resources/: icons/, styles/, help/, i18n/. It need not exist."""
    return _part("resources").joinpath(*parts)


def icon(name: str) -> str:
    """Path of an icon, e.g. `icon("geoseg.svg")`, as text for QIcon."""
    return str(resource("icons", name))


def guide() -> Path:
    """The guide for users, docs/guide.md. It need not exist."""
    return _part("docs") / "guide.md"


def _part(name: str) -> Path:
    inside = plugin_dir() / name
    return inside if inside.exists() else plugin_dir().parent / name
