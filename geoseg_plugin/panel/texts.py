"""What things are called on screen. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

from ..forms.texts import tr

__all__ = ["tr"]


def terrain_names() -> dict[str, str]:
    """Terrain attributes by contract key."""
    return {
        "slope": tr("Slope"),
        "aspect_sin": tr("Aspect, sine (east to west)"),
        "aspect_cos": tr("Aspect, cosine (north to south)"),
        "curvature": tr("Curvature"),
        "profile_curvature": tr("Profile curvature"),
        "planform_curvature": tr("Planform curvature"),
    }


def area_names() -> dict[str, str]:
    """Return the kinds of area by contract key, in the order of the list."""
    return {
        "concave_hull": tr("Concave hull of the polygons"),
        "convex_hull": tr("Convex hull of the polygons"),
        "bounds": tr("Bounding box of the polygons"),
        "polygons": tr("Polygons of another layer"),
        "extent": tr("Current map extent"),
        "rasters": tr("Everything the rasters cover"),
    }


def split_names() -> dict[str, str]:
    """Return the splits by contract key."""
    return {"train": tr("Train"), "validation": tr("Validation"), "test": tr("Test")}


def state_names() -> dict[str, str]:
    """Return the state of a job as a remark, by state of the workspace; a job that is done has none."""
    return {
        "running": tr("(running)"),
        "stopped": tr("(interrupted)"),
        "cancelled": tr("(cancelled)"),
        "failed": tr("(failed)"),
    }


def input_names() -> dict[str, str]:
    """Return the parts of the inputs of a dataset, by their keys in its record."""
    return {
        "rasters": tr("rasters or their bands"),
        "additions": tr("added bands"),
        "labels": tr("labels"),
        "area": tr("area"),
        "grid": tr("grid"),
    }


def outdated_text(reasons: Sequence[str]) -> str:
    """Return why a result is out of date, from the reasons of a `records.freshness.Step`."""
    if "dataset" in reasons:
        return tr("Out of date: made from another dataset than the one that is chosen now.")
    names = [name for key, name in input_names().items() if key in reasons]
    if names:
        return tr("Out of date. Changed since the data were prepared: {}.").format(", ".join(names))
    return tr("Out of date: the previous step was done again.")


def duration(seconds: float) -> str:
    """Return a time as text: "35 s", "4 min", "1 h 20 min"; empty if it is not known."""
    if seconds < 0:
        return ""
    if seconds < 90:
        return tr("{} s").format(round(seconds))
    minutes = round(seconds / 60)
    if minutes < 60:
        return tr("{} min").format(minutes)
    return tr("{} h {} min").format(minutes // 60, minutes % 60)


def pixels(count: float) -> str:
    """Return a count with thin spaces between the thousands: 1 234 567."""
    return f"{round(count):,}".replace(",", "\u202f")


def share(value: float | None) -> str:
    """Return a share of one as "0.873", or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def interval_text(ends: Sequence[float | None] | None) -> str:
    """Return a 95 % interval as "0.68–0.79"; empty where there is none."""
    if not ends or ends[0] is None or ends[1] is None:
        return ""
    return f"{ends[0]:.2f}–{ends[1]:.2f}"


def memory(megabytes: float) -> str:
    """Memory in GB above 1000 MB."""
    return (
        tr("{} GB").format(round(megabytes / 1024))
        if megabytes >= 1000
        else tr("{} MB").format(round(megabytes))
    )


def number_text(value: object) -> str:
    """Return a value of a band with four digits; a dash where there is none."""
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"


def as_sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    whole = text if text.endswith((".", "!", "?")) else f"{text}."
    return whole[:1].upper() + whole[1:]
