"""What the choices of the Predict page are called."""

from __future__ import annotations

from ...contract import Cleaning, Outlines
from ...panel.texts import tr


def place_names() -> dict[str, str]:
    """Where to predict, in the order of the list."""
    return {
        "whole": tr("all that the layers share"),
        "map": tr("what the map shows now"),
        "polygons": tr("inside polygons of a layer"),
        "rectangle": tr("a rectangle that I draw or enter"),
    }


def view_names() -> dict[str, str]:
    """Test-time augmentation by contract key."""
    return {
        "none": tr("the image as it is"),
        "flips": tr("and mirrored: about 4 times as long"),
        "all": tr("mirrored and turned: about 8 times as long"),
    }


def runtime_names() -> dict[str, str]:
    """Runtimes by contract key."""
    return {
        "auto": tr("the fastest, tried"),
        "torch": "PyTorch",
        "onnx": "ONNX Runtime",
        "openvino": "OpenVINO",
    }


def precision_names() -> dict[str, str]:
    """Precisions by contract key."""
    return {
        "auto": tr("the fastest with the same classes"),
        "float32": "float32",
        "bf16": "bfloat16",
        "fp16": "float16",
        "int8": tr("int8, where it loses little"),
    }


def cleaning_title(cleaning: Cleaning) -> str:
    """Title of the folded group: what is done now."""
    steps = {
        tr("majority"): cleaning.majority_px,
        tr("opening"): cleaning.opening_px,
        tr("closing"): cleaning.closing_px,
        tr("holes"): cleaning.fill_holes_px,
        tr("least area"): cleaning.min_patch_px,
    }
    chosen = [name for name, size in steps.items() if size]
    return tr("Cleaning: {}").format(", ".join(chosen) or tr("none"))


def outlines_title(outlines: Outlines) -> str:
    """Title of the folded group: how outlines are drawn now."""
    chosen = [tr("within {:g} m").format(outlines.simplify_m)] if outlines.simplify_m else []
    chosen += [tr("smooth")] if outlines.smooth else []
    chosen += [tr("right angles")] if outlines.right_angles else []
    return tr("Outlines: {}").format(", ".join(chosen) or tr("edges of the pixels"))


def quality_title(views: int, precision: str) -> str:
    """Title of the folded group: how often each pixel is looked at, and int8."""
    chosen = [tr("{} views").format(views)] if views > 1 else [tr("one view")]
    chosen += ["int8"] if precision == "int8" else []
    return tr("Quality and speed: {}").format(", ".join(chosen))
