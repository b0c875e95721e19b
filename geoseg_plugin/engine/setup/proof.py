"""What the engine's probe says about the device that was chosen: a warning where it is not used."""

from __future__ import annotations

from typing import Any

from ...contract import Problem
from .builds import Build

OK = "ok"
DRIVER = (
    "Update the card's driver, restart the computer, and check the engine again; until then the CPU is used."
)


def device_warning(build: Build, probe: dict[str, Any], advice: str = "") -> Problem | None:
    """Return why the device of a build is not used, with the next step; None if it is.

    Args:
        build: that was installed.
        probe: result of the engine's probe.
        advice: of the proposal: a card is there that this build does not use, and why.
    """
    if build.key == "cpu":
        return Problem("gpu_not_used", advice, "", "warning") if advice else None
    proof: dict[str, Any] = kept if isinstance(kept := probe.get("proof"), dict) else {}
    if str(probe.get("device") or "cpu") == "cpu":
        return _on_cpu(build, probe)
    for key, name in (("convolution", "a convolution"), ("training_step", "a training step")):
        if proof.get(key, OK) != OK:
            what = f"{probe.get('device_name') or probe['device']} failed {name}: {proof[key]}."
            return Problem("gpu_not_used", what, DRIVER, "warning")
    session = str(proof.get("onnx_session", OK))
    if "gpu" in build.onnxruntime and session != OK:
        what = f"ONNX Runtime does not use {probe.get('device_name') or probe['device']}: {session}."
        return Problem("onnx_on_cpu", what, "PyTorch predicts on the card; models of other programs run on the CPU.",
                       "warning")  # fmt: skip
    return None


def _on_cpu(build: Build, probe: dict[str, Any]) -> Problem:
    """The build is for a card, and the engine runs on the CPU: what the engine reports of its cards, if it does."""
    cards = [item for item in probe.get("unused") or [] if isinstance(item, dict)]
    if cards:
        card = cards[0]
        return Problem("gpu_not_used", f"{card.get('name')} is not used: {card.get('reason')}.",
                       str(card.get("hint") or DRIVER), "warning")  # fmt: skip
    return Problem("gpu_not_used", f"{build.title} is installed, but PyTorch finds no card that it can use: the engine"
                   " runs on the CPU.", DRIVER, "warning")  # fmt: skip


def stamp_of(warning: Problem | None, probe: dict[str, Any]) -> dict[str, str]:
    """Return what the stamp of the environment keeps of the probe."""
    found = {"device_name": str(probe.get("device_name") or probe.get("device") or "")}
    if warning is not None:
        found |= {"warning_code": warning.code, "warning": warning.message, "warning_hint": warning.hint}
    return found
