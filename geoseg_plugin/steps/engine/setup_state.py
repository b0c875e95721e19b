"""What the Engine page shows of the set-up: what was found, what will be installed, and what is wrong. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PureWindowsPath
from typing import Any

from ...contract import Problem
from ...engine.setup.builds import RATE_MBIT, Proposal
from ...engine.setup.cards import shown_version
from ...engine.setup.facts import Card, Machine
from ...engine.setup.rules import fit
from ...panel.texts import memory, tr
from .state import device_text, engine_facts, proof_text, uses_card

CARD_UNUSED, OUTDATED = "gpu_not_used", "engine_outdated"
ICONS = {
    "card": "card.svg",
    "none": "step_engine.svg",
    "unused": "warning.svg",
    "impossible": "error.svg",
    "failed": "error.svg",
    "broken": "error.svg",
    "ready": "tick.svg",
    "own": "tick.svg",
    "warning": "warning.svg",
    "full": "error.svg",
    "update": "outdated.svg",
    "offline": "step_engine.svg",
}
"""Picture of each state; the others have none."""


@dataclass(frozen=True)
class SetupChoices:
    """How the engine is to be set up.

    Attributes:
        build: key of the build of PyTorch; `auto` takes the one that this computer suggests.
        python: interpreter to make the environment from; empty is found, or brought along.
        folder: of the environment; empty is the default one.
        with_richdem: try to build richdem.
        kit: folder to install from without a network; empty installs from the network.
    """

    build: str = "auto"
    python: str = ""
    folder: str = ""
    with_richdem: bool = True
    kit: str = ""


@dataclass(frozen=True)
class Look:
    """What a look at this computer found.

    Attributes:
        machine: system, processor and cards.
        python: version of the interpreter that would be used; empty if none fits.
        python_path: its path.
        folder: of the environment.
        free_mb: free disk space there in MB of 10^6 bytes; negative if it is not known.
        proxy: host and port, without the login; empty without a proxy.
        size_mb: what an engine that is there takes on the disk; negative if there is none.
    """

    machine: Machine
    python: str = ""
    python_path: str = ""
    folder: str = ""
    free_mb: float = -1
    proxy: str = ""
    size_mb: float = -1


@dataclass(frozen=True)
class Working:
    """A set-up that runs.

    Attributes:
        title: what is done.
        step: of it; empty at the start.
        fraction: of the whole, 0 to 1; negative if it is not known.
        seconds_left: negative if it is not known.
        plan: what is installed and how large it is; empty for other work.
    """

    title: str
    step: str = ""
    fraction: float = -1
    seconds_left: float = -1
    plan: str = ""


@dataclass(frozen=True)
class Situation:
    """All that decides what the page shows.

    Attributes:
        look: at this computer; None until it is finished.
        proposal: what would be installed; None until then.
        choices: of the user.
        python: interpreter in use; empty without an engine.
        managed: whether GeoSeg made its environment.
        folder_named: whether an environment variable names the folder, so that no other can be chosen.
        stamp: what the installer wrote into it.
        probe: what the engine reported of itself; empty until it has.
        probing: whether it is asked.
        problems: why the engine cannot be used.
        outdated: whether it was made by another version of GeoSeg.
        working: the set-up that runs, if one does.
        failure: what failed last, as title, code, message and hint; None after one that did not.
    """

    look: Look | None = None
    proposal: Proposal | None = None
    choices: SetupChoices = SetupChoices()
    python: str = ""
    managed: bool = True
    folder_named: bool = False
    stamp: Mapping[str, str] = field(default_factory=dict)
    probe: Mapping[str, Any] = field(default_factory=dict)
    probing: bool = False
    problems: tuple[Any, ...] = ()
    outdated: bool = False
    working: Working | None = None
    failure: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SetupView:
    """What the page shows.

    Attributes:
        state: looking, none, card, unused, full, impossible, offline, installing, failed, broken, probing, ready, own,
            warning or update.
        headline: one line.
        facts: names and values.
        plan: what pressing the button does; empty shows none.
        problems: each with its next step.
        button: text of the button; empty hides it.
        enabled: whether it can be pressed.
        why: what it does, or why it cannot be pressed.
        badge: warning of the badge, with reason and next step; empty without one.
    """

    state: str
    headline: str
    facts: tuple[tuple[str, str], ...] = ()
    plan: str = ""
    problems: tuple[Any, ...] = ()
    button: str = ""
    enabled: bool = True
    why: str = ""
    badge: str = ""

    @property
    def icon(self) -> str:
        """File name of the picture; empty without one."""
        return ICONS.get(self.state, "")


def setup_view(now: Situation) -> SetupView:
    """Return what the page shows of a situation."""
    if now.working is not None:
        return installing_view(now, now.working)
    if now.failure is not None:
        return failed_view(now, now.failure)
    if not now.python:
        return offer_view(now)
    return engine_view(now)


def installing_view(now: Situation, working: Working) -> SetupView:
    """Return the view of a set-up that runs."""
    return SetupView("installing", tr("{}…").format(working.title), found_facts(now.look), working.plan)


def failed_view(now: Situation, failure: Mapping[str, Any]) -> SetupView:
    """Return the view after a set-up that failed."""
    kept = tr("The engine from before is still there and works.") if now.python else ""
    again = tr("Resumes where it stopped; what is downloaded already is not downloaded again.")
    problem = {"severity": "error", **{key: failure.get(key, "") for key in ("code", "message", "hint")}}
    return SetupView(
        "failed",
        tr("{} did not finish").format(failure.get("title") or tr("Setting up the engine")),
        found_facts(now.look),
        kept,
        (problem,),
        tr("&Try again"),
        why=again,
    )


def offer_view(now: Situation) -> SetupView:
    """Return the view without an engine: what was found and what will be installed."""
    if now.look is None or now.proposal is None:
        why = tr("In a moment: this computer is being looked at.")
        headline, button = tr("Looking at this computer…"), tr("&Set up the engine")
        return SetupView("looking", headline, button=button, enabled=False, why=why)
    proposal, look = now.proposal, now.look
    if proposal.build is None:
        why = " ".join(f"{item.message} {item.hint}".strip() for item in proposal.problems)
        headline = tr("The engine cannot run on this computer")
        facts, button = (system_fact(look.machine),), tr("&Set up the engine")
        return SetupView("impossible", headline, facts, "", proposal.problems, button, False, why)
    state, headline = offer_kind(now, proposal, look.machine)
    advice = () if now.choices.build == "cpu" else advice_problems(proposal)
    problems = (*advice, *disk_problems(now))
    button = tr("&Install from the folder") if now.choices.kit else tr("&Set up the engine")
    short = next((item for item in problems if item.severity == "error"), None)
    if short is not None:
        why, title = " ".join(texts_of(short)), tr("There is not enough room on the disk")
        return SetupView("full", title, found_facts(look), "", problems, button, False, why)
    why = tr("No more questions. Progress and Cancel appear here.")
    return SetupView(state, headline, found_facts(look), plan_text(now, proposal), problems, button, why=why)


def offer_kind(now: Situation, proposal: Proposal, machine: Machine) -> tuple[str, str]:
    """Return state and headline of an offer that can be taken."""
    if now.choices.kit:
        return "offline", tr("The engine is set up from a folder")
    if is_for_card(proposal):
        return "card", tr("{} will be used").format(used_card(proposal, machine))
    if machine.cards and now.choices.build == "cpu":
        return "none", tr("The processor will be used, as you chose")
    if proposal.advice:
        return "unused", tr("The graphics card will not be used yet")
    return "none", tr("The processor will be used")


def engine_view(now: Situation) -> SetupView:
    """Return the view of an engine that is there."""
    facts = ready_facts(now)
    problems = tuple(item for item in now.problems if code_of(item) not in (CARD_UNUSED, OUTDATED))
    if any(severity(item) == "error" for item in problems):
        button = tr("&Repair the engine") if now.managed else ""
        why = tr("Every file is checked, and broken packages are installed again.")
        return SetupView("broken", tr("The engine is not ready"), facts, "", problems, button, why=why)
    if now.probing and not now.probe:
        return SetupView("probing", tr("Probing the engine…"), facts, "", problems)
    device = device_text(now.probe)
    headline = tr("Ready, on {}").format(device) if device else tr("Ready")
    unused = unused_card(now)
    badge = " ".join(texts_of(unused)).strip() if unused is not None else ""
    problems += (unused,) if unused is not None else ()
    if now.outdated:
        plan = tr(
            "Installs only what changed. The current engine is kept until the new one has passed its checks."
        )
        title, button = tr("An update of the engine is available"), tr("&Update the engine")
        return SetupView("update", title, facts, plan, problems, button, badge=badge)
    if unused is not None:
        button = tr("&Use the graphics card") if now.managed and is_other_build(now) else ""
        plan = plan_text(now, now.proposal) if button and now.proposal is not None else ""
        return SetupView("warning", headline, facts, plan, problems, button, badge=badge)
    return SetupView("ready" if now.managed else "own", headline, facts, "", problems)


def ready_facts(now: Situation) -> tuple[tuple[str, str], ...]:
    """Return what is known of an engine that is there, in reading order."""
    proof = proof_text(now.probe, now.stamp)
    with_card = uses_card(now.probe) or now.stamp.get("build", "cpu") != "cpu"
    found = engine_facts(short_path(now.python), now.probe, with_card)
    named = [(tr("Environment"), "" if now.managed else tr("your own")), (tr("Checked"), proof), *found]
    device = device_text(now.probe)
    return tuple((name, value) for name, value in named if value and value != device)


def unused_card(now: Situation) -> Problem | None:
    """Return why a card that is there is not used; None if it is used, there is none, or the user chose so."""
    if not now.probe or uses_card(now.probe) or (now.managed and now.choices.build == "cpu"):
        return None
    if now.managed and now.look is not None and now.proposal is not None:
        if is_other_build(now):
            text = tr("{} is there, but this engine was set up without it.")
            hint = tr("Press “Use the graphics card”: only PyTorch and ONNX Runtime are installed again.")
            name = used_card(now.proposal, now.look.machine)
            return Problem(CARD_UNUSED, text.format(name), hint, "warning")
        if now.proposal.advice:
            return advice_problems(now.proposal)[0]
    if now.stamp.get("warning") and (now.look is None or now.stamp.get("build", "cpu") != "cpu"):
        return Problem(CARD_UNUSED, now.stamp["warning"], now.stamp.get("warning_hint", ""), "warning")
    reported = next((item for item in now.problems if code_of(item) == CARD_UNUSED), None)
    return Problem(CARD_UNUSED, *texts_of(reported), "warning") if reported is not None else None


def is_other_build(now: Situation) -> bool:
    """Return whether a build for the card is proposed that is not the one that is installed."""
    proposal = now.proposal
    if now.look is None or proposal is None or proposal.build is None or not is_for_card(proposal):
        return False
    is_there = any(fit(now.look.machine, card).key == proposal.build.key for card in now.look.machine.cards)
    return is_there and now.stamp.get("build", "cpu") != proposal.build.key


def is_for_card(proposal: Proposal) -> bool:
    """Return whether what is proposed computes on a card."""
    return proposal.build is not None and proposal.build.key != "cpu"


def advice_problems(proposal: Proposal) -> tuple[Problem, ...]:
    """Return the advice of a proposal as a warning with its next step."""
    if not proposal.advice:
        return ()
    return (Problem(CARD_UNUSED, proposal.advice, "", "warning"),)


def disk_problems(now: Situation) -> tuple[Problem, ...]:
    """Return that the disk is too full."""
    look, proposal = now.look, now.proposal
    if look is None or proposal is None or not 0 <= look.free_mb < proposal.free_needed_mb:
        return ()
    text = tr("{} are free in {}; {} are needed.")
    found = text.format(size_text(look.free_mb), short_path(look.folder), size_text(proposal.free_needed_mb))
    hint = tr("Free some space, or choose a folder on another disk under “Change…”.")
    return (Problem("disk_full", found, hint),)


def found_facts(look: Look | None) -> tuple[tuple[str, str], ...]:
    """Return what was found, in reading order: cards, driver, Python, disk, proxy."""
    if look is None:
        return ()
    cards = look.machine.cards
    drivers = list(dict.fromkeys(shown_version(card.driver) for card in cards if card.driver))
    facts = [
        (tr("Card"), "; ".join(card_texts(cards)) or tr("none found")),
        (tr("Driver"), ", ".join(drivers)),
        (tr("Python"), look.python or tr("none that fits: one is brought along")),
        (tr("Disk"), disk_text(look)),
        (tr("Proxy"), look.proxy),
    ]
    return tuple((name, value) for name, value in facts if value)


def disk_text(look: Look) -> str:
    """Return the free space: "212 GB free on C:", or without the disk where it has no name."""
    if look.free_mb < 0:
        return ""
    drive = PureWindowsPath(look.folder).drive if look.machine.system == "windows" else ""
    text = tr("{} free on {}").format(size_text(look.free_mb), drive) if drive else tr("{} free")
    return text.format(size_text(look.free_mb))


def short_path(path: str, room: int = 24) -> str:
    """Return a path whose middle is left out where it is long: "C:\\…\\Scripts\\python.exe".

    Args:
        path: of Windows or another system.
        room: characters that fit.
    """
    sign = "\\" if "\\" in path else "/"
    parts = path.split(sign)
    last = len(parts) - 1
    while last > 2 and len(sign.join([parts[0], "…", *parts[-last:]])) > room:
        last -= 1
    return path if len(path) <= room or last < 2 else sign.join([parts[0], "…", *parts[-last:]])


def system_fact(machine: Machine) -> tuple[str, str]:
    """Return system and processor as shown, e.g. "macOS 13.6, Intel (64 bit)"."""
    names = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
    number = ".".join(str(part) for part in machine.os_version[:2])
    libc = tr(", glibc {}").format(".".join(map(str, machine.libc))) if machine.libc else ""
    text = f"{names.get(machine.system, machine.system)} {number}, {machine.processor}{libc}"
    return tr("System"), text


def card_texts(cards: Sequence[Card]) -> list[str]:
    """Return cards as shown, equal ones once: "2 × NVIDIA A100, 40 GB, compute capability 8.0"."""
    texts = [card_text(card) for card in cards]
    counted = [(text, len(list(group))) for text, group in groupby(texts)]
    return [f"{count} × {text}" if count > 1 else text for text, count in counted]


def card_text(card: Card) -> str:
    """Return name, memory and compute capability of a card."""
    parts = [card.name]
    if card.memory_mb:
        parts.append(memory(card.memory_mb))
    if card.capability is not None:
        parts.append(tr("compute capability {}.{}").format(*card.capability))
    return ", ".join(parts)


def used_card(proposal: Proposal, machine: Machine) -> str:
    """Return the name of the card that the proposal is for."""
    for card in machine.cards:
        if proposal.build is not None and fit(machine, card).key == proposal.build.key:
            return card.name
    return proposal.build.title if proposal.build is not None else ""


def plan_text(now: Situation, proposal: Proposal) -> str:
    """Return what will be installed, how large and how long."""
    if now.choices.kit:
        text = tr("Installs from {}: nothing is downloaded. {} on disk.")
        return text.format(now.choices.kit, size_text(proposal.disk_mb))
    text = tr("Installs {}: {} to download, {} on disk, about {} min at {} Mbit/s.")
    down, disk = size_text(proposal.download_mb), size_text(proposal.disk_mb)
    name = proposal.build.title if proposal.build is not None else ""
    return text.format(name, down, disk, proposal.minutes, RATE_MBIT)


def step_text(step: str) -> str:
    """Return a step of the installation as shown; lists of wheels are named by their keys."""
    part = step.removeprefix("Install ").partition("-")[0]
    names = {
        "torch": tr("Install PyTorch"),
        "libraries": tr("Install libraries for the card"),
        "runtime": tr("Install ONNX Runtime"),
        "base": tr("Install geodata and all other packages"),
    }
    return names.get(part) or tr(step)


def size_text(megabytes: float) -> str:
    """Return a size on disk of 10^6 bytes: "231 MB", "2.6 GB", "120 GB"."""
    if megabytes < 1000:
        return tr("{} MB").format(round(megabytes))
    gigabytes = megabytes / 1000
    return tr("{} GB").format(f"{gigabytes:.1f}" if gigabytes < 100 else str(round(gigabytes)))


def severity(problem: Any) -> str:
    """Severity of a problem object or mapping."""
    return str(problem.get("severity", "error") if isinstance(problem, Mapping) else problem.severity)


def texts_of(problem: Any) -> tuple[str, str]:
    """Message and next step of a problem object or mapping."""
    facts = problem if isinstance(problem, Mapping) else vars(problem)
    return str(facts.get("message") or ""), str(facts.get("hint") or "")


def code_of(problem: Any) -> str:
    """Code of a problem object or mapping."""
    return str(problem.get("code", "") if isinstance(problem, Mapping) else problem.code)
