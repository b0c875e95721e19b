"""Sentences and numbers of the evaluation report: headline, settings, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract import Dataset, file_name, model_name
from .html import number, span

SEPARATE = ("name", "bands", "classes", "members")
"""Entries of an architecture that are no settings."""


def headline(data: dict[str, Any]) -> str:
    """Return what was evaluated, where, and on how many pixels."""
    what = Path(data.get("model") or data.get("prediction") or "").name or "The result"
    network = network_name(data.get("architecture") or {})
    what = f"{what} ({network})" if network else what
    where = f" on the {data['split']} split" if data.get("split") else ""
    named = f" of '{data['dataset']}'" if data.get("dataset") else ""
    where = f" against the labels of '{data['truth']}'" if data.get("truth") else where
    unseen = data.get("split") == "test" and data.get("own_split")
    return (
        f"{what}, evaluated{where}{named}: {data['pixels']:,} labelled pixels"
        f"{', none of them used for training' if unseen else ''}."
    )


def network_name(architecture: dict[str, Any]) -> str:
    """Return the name of an architecture, as a model file states it, on screen; empty without an architecture."""
    name = architecture.get("name", "")
    return model_name(name, architecture.get("encoder", "")) if name else ""


def main_numbers(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, note) of the main scores; the accuracy notes that of always predicting one class."""
    bounds = data.get("intervals") or {}

    def likely(key: str, note: str) -> str:
        interval = span(bounds.get(key))
        return "; ".join(part for part in (f"95 %: {interval}" if interval else "", note) if part)

    found = [("mean IoU", number(data["miou"]), likely("miou", "over the classes present in the truth"))]
    if data.get("foreground_iou") is not None:
        name = f"IoU of '{data['per_class'][1]['name']}'"
        found.insert(0, (name, number(data["foreground_iou"]), likely("foreground_iou", "")))
    majority = f"always '{data['majority_class']}' would give {number(data['majority_accuracy'])}"
    kappa = data.get("kappa")
    return [
        *found,
        ("mean F1", number(data["mean_f1"]), ""),
        ("accuracy", number(data["accuracy"]), majority),
        *([("kappa", number(kappa), "accuracy beyond chance")] if kappa is not None else []),
    ]


def interval_sentence(data: dict[str, Any]) -> str:
    """What the intervals are of; empty without any."""
    bounds = data.get("intervals") or {}
    if not bounds.get("miou"):
        return ""
    return (
        f"Intervals are 95 % intervals from a bootstrap over the {bounds['blocks']} evaluated blocks of "
        f"{bounds['block_px']} px: in a similar area the score would be in this range. Two models whose intervals "
        "overlap much hardly differ."
    )


def area_sentence(data: dict[str, Any]) -> str:
    """What the areas are of; empty without any."""
    if not data.get("areas"):
        return ""
    return (
        "Over the evaluated pixels only, measured on the ellipsoid. Unbiased areas of the whole map need a random "
        "sample of it with reference classes."
    )


def calibration_sentences(data: dict[str, Any]) -> list[str]:
    """How honest the confidence is, and how the decision was moved."""
    found = []
    error = data.get("ece")
    if error is not None:
        found.append(
            f"Expected calibration error {error:.3f}: on average the stated confidence and the share that is right "
            f"differ by {100 * error:.1f} percentage points. Below the dashed line the confidence is too high, above "
            "it too low."
        )
    calibration = data.get("calibration") or {}
    before = calibration.get("ece")
    if before:
        found.append(
            f"After training, the logits were divided by {calibration['temperature']:.3g}: on the validation pixels "
            f"the error went from {before[0]:.3f} to {before[1]:.3f}."
        )
    weights = calibration.get("weights") or []
    if len(set(weights)) > 1:
        names = [row["name"] for row in data["per_class"]]
        if len(weights) == 2:
            threshold = weights[0] / (weights[0] + weights[1])
            found.append(
                f"A pixel is given to '{names[1]}' from a probability of {threshold:.2f} on: that overlaps best on the "
                "validation pixels."
            )
        elif len(weights) == len(names):
            weighted = ", ".join(f"{name} {value:.2g}" for name, value in zip(names, weights, strict=True))
            found.append(
                f"In the decision, classes weigh: {weighted} (best mean IoU on the validation pixels)."
            )
    return found


def data_rows(dataset: Dataset) -> list[tuple[str, Any]]:
    """The data in words."""
    grid = dataset.recipe.grid
    return [
        (
            "grid",
            f"{grid.width} × {grid.height} pixels of {abs(grid.transform[0]):.6g}, {crs_name(grid.crs)}",
        ),
        ("bands", f"{len(dataset.recipe.bands)}: {', '.join(band.name for band in dataset.recipe.bands)}"),
        ("layers", ", ".join(source.name or file_name(source.path) for source in dataset.recipe.sources)),
        (
            "unlabelled pixels",
            "is background (where labels are a raster with a class of that name, left out)"
            if dataset.unlabelled == "background"
            else "is left out",
        ),
        ("tiles", f"{dataset.tile_px} px, every {dataset.stride_px} px"),
    ]


def split_sentence(dataset: Dataset) -> str:
    """Return how the area was split."""
    how = f"Spatial blocks of {dataset.block_px} px" if dataset.block_px else "Areas given by the user"
    return f"{how}; {dataset.buffer_px} px between blocks of different splits are used by none."


def settings(data: dict[str, Any]) -> list[tuple[str, Any]]:
    """Settings of the training, as name and value."""
    trained = data.get("trained") or {}
    job, plan = trained.get("job") or {}, trained.get("plan") or {}
    network = data.get("architecture") or {}
    own = [
        f"{key} {_plain(value)}"
        for key, value in network.items()
        if key not in SEPARATE and value not in ("", None)
    ]
    chosen = {**job, **{key: value for key, value in plan.items() if value not in (None, "")}}
    epochs = trained.get("epochs_run")
    return [
        ("network", "; ".join(part for part in (network_name(network), ", ".join(own)) if part)),
        ("bands used", ", ".join(job.get("bands") or [])),
        ("loss", chosen.get("loss")),
        ("class weights", chosen.get("class_weights")),
        ("augmentation", _plain(chosen["augment"]) if "augment" in chosen else ""),
        ("crops", chosen.get("crop_px") and f"{chosen['crop_px']} px, {chosen.get('batch_size')} a step"),
        (
            "optimizer",
            ", ".join(
                str(chosen[key]) for key in ("optimiser", "schedule") if chosen.get(key) not in (None, "auto")
            ),
        ),
        ("learning rate", chosen.get("learning_rate")),
        ("epochs", epochs),
        ("epoch kept", epochs and (trained.get("kept_sentence") or trained.get("best_epoch"))),
        ("initial weights", Path(job["start_from"]).name if job.get("start_from") else ""),
        ("seed", job.get("seed")),
        (
            "trained on",
            trained.get("device") and f"{trained['device']}, {trained.get('precision') or 'float32'}",
        ),
        ("trained", trained.get("created")),
        ("predicted with", data.get("runtime")),
        ("seconds to predict and evaluate", data.get("seconds")),
    ]


def reasons(data: dict[str, Any], plan: dict[str, Any]) -> Sequence[str]:
    """Return why the automatic settings were chosen, from plan.json, else from the plan that the model carries.

    Args:
        data: content of metrics.json.
        plan: content of plan.json.
    """
    found = plan.get("reasons") or ((data.get("trained") or {}).get("plan") or {}).get("reasons") or []
    return [str(item) for item in found]


def crs_name(crs: str) -> str:
    """A CRS in few letters: the name of WKT, else the text itself."""
    quoted = crs.split('"')
    return quoted[1] if "[" in quoted[0] and len(quoted) > 1 else crs[:60]


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
