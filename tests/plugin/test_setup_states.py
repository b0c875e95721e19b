"""The set-up as the Engine page shows it, for computers and engines of every kind. Without Qt."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from setup_states import (
    APPLE_M3,
    CARD_PROBE,
    CPU_PROBE,
    ENGINE,
    GTX_1080,
    LINUX,
    MAC,
    RTX_4090,
    RTX_5090,
    SITUATIONS,
    WINDOWS,
    look,
    situation,
)

from geoseg_plugin import paths
from geoseg_plugin.engine.setup.builds import choices, propose
from geoseg_plugin.engine.setup.facts import Machine
from geoseg_plugin.steps.engine.dialog_state import dialog_view
from geoseg_plugin.steps.engine.setup_state import (
    ICONS,
    SetupChoices,
    SetupView,
    Situation,
    card_texts,
    setup_view,
    short_path,
    size_text,
    step_text,
    texts_of,
)
from geoseg_plugin.steps.engine.state import badge_text, proof_text

USED = {
    "code": "gpu_not_used",
    "severity": "warning",
    "message": "X is not used: reason.",
    "hint": "Do this.",
}


def shown(name: str, **changes: Any) -> SetupView:
    return setup_view(replace(situation(name), **changes))


def words(view: SetupView) -> str:
    facts = " ".join(f"{name} {value}" for name, value in view.facts)
    problems = " ".join(" ".join(texts_of(item)) for item in view.problems)
    return f"{view.headline} {facts} {view.plan} {problems} {view.button} {view.why}"


@pytest.mark.parametrize(
    ("name", "state", "button", "enabled", "said"),
    [
        ("looking", "looking", "Set up the engine", False, "Looking at this computer…"),
        ("nothing", "none", "Set up the engine", True, "PyTorch for CPU"),
        ("card", "card", "Set up the engine", True, "CUDA 13.0"),
        ("card-pascal", "card", "Set up the engine", True, "CUDA 12.6"),
        ("card-apple", "card", "Set up the engine", True, "Apple silicon"),
        ("unused", "unused", "Set up the engine", True, "driver to 580 or newer"),
        ("impossible", "impossible", "Set up the engine", False, "Intel processor"),
        ("disk-full", "full", "Set up the engine", False, "3.2 GB are free in"),
        ("offline", "offline", "Install from the folder", True, "nothing is downloaded"),
        ("failed", "failed", "Try again", True, "user name and password"),
        ("probing", "probing", "", True, "Probing the engine…"),
        ("ready", "ready", "", True, "agree with the CPU"),
        ("ready-cpu", "ready", "", True, "Ready, on CPU"),
        ("warning-driver", "warning", "", True, "driver to 580 or newer"),
        ("warning-build", "warning", "Use the graphics card", True, "was set up without it"),
        ("update", "update", "Update the engine", True, "Installs only what changed"),
        ("broken", "broken", "Repair the engine", True, "torch is damaged"),
        ("own", "own", "", True, "your own"),
    ],
)
def test_every_state_has_its_words_and_its_button(
    name: str, state: str, button: str, enabled: bool, said: str
) -> None:
    view = shown(name)
    assert (view.state, view.button.replace("&", ""), view.enabled) == (state, button, enabled)
    assert said in words(view)
    if not enabled:
        assert view.why, "a button that cannot be pressed says why"
    if view.icon:
        assert paths.resource("icons", view.icon).is_file()


def test_all_states_look_different() -> None:
    views = {name: setup_view(situation(name)) for name in SITUATIONS}
    assert len({(view.headline, view.plan, view.badge, words(view)) for view in views.values()}) == len(views)
    kinds = {view.state for view in views.values()}
    assert kinds == {*ICONS, "looking", "probing", "installing"}


def test_before_a_byte_is_downloaded_it_is_shown_how_large_and_how_long() -> None:
    view = shown("card")
    assert "GB to download" in view.plan and "GB on disk" in view.plan and "min at" in view.plan
    facts = dict(view.facts)
    assert facts["Card"] == "NVIDIA GeForce RTX 4090, 24 GB, compute capability 8.9"
    assert (facts["Driver"], facts["Python"], facts["Disk"]) == ("581.29", "3.12", "212 GB free on C:")
    assert facts["Proxy"] == "proxy.example.org:8080"


@pytest.mark.parametrize(
    "machine",
    [
        Machine("macos", "x86_64", (13, 6)),
        Machine("macos", "arm64", (13, 6)),
        Machine("windows", "arm64", (10, 0, 22631)),
        Machine("windows", "x86", (10, 0, 19045), bits=32),
        Machine("linux", "x86_64", (4, 18), (2, 27)),
        Machine("linux", "x86_64", (6, 1)),
    ],
)
def test_a_computer_without_a_build_learns_it_at_once(machine: Machine) -> None:
    now = situation(Situation(look(machine)))
    view = setup_view(now)
    assert view.state == "impossible" and not view.enabled and now.proposal is not None
    assert all(item.message in words(view) and item.hint in view.why for item in now.proposal.problems)
    dialog = dialog_view(now, busy=False)
    assert dialog.why_no_setup and [entry.key for entry in dialog.builds] == ["auto"]


def test_a_kit_cannot_cure_a_computer_without_a_build() -> None:
    now = situation(Situation(look(replace(MAC, processor="x86_64")), choices=SetupChoices(kit="/kit")))
    assert setup_view(now).state == "impossible"


@pytest.mark.parametrize("card", [RTX_4090, GTX_1080])
def test_a_card_that_is_there_and_not_used_stays_on_the_badge(card: Any) -> None:
    now = situation(Situation(look(WINDOWS, card), python=ENGINE, stamp={"build": "cpu"}, probe=CPU_PROBE))
    view = setup_view(now)
    assert card.name in view.badge and "Press" in view.badge
    assert setup_view(replace(now, outdated=True)).badge == view.badge, "also while an update is offered"


def test_the_badge_names_the_driver_that_is_needed() -> None:
    view = shown("warning-driver")
    assert "580" in view.badge and RTX_5090.name in view.badge and not view.button


def test_a_processor_that_was_chosen_is_no_warning() -> None:
    now = replace(situation("warning-build"), choices=SetupChoices(build="cpu"))
    assert (setup_view(now).state, setup_view(now).badge) == ("ready", "")
    offer = situation(Situation(look(WINDOWS, RTX_4090), choices=SetupChoices(build="cpu")))
    assert setup_view(offer).headline == "The processor will be used, as you chose"


def test_what_the_engine_itself_reports_of_a_card_is_the_badge_too() -> None:
    probe = {**CPU_PROBE, "problems": [USED]}
    own = Situation(look(LINUX), python="/p", managed=False, probe=probe, problems=(USED,))
    view = setup_view(situation(own))
    assert (view.state, view.badge) == ("warning", "X is not used: reason. Do this.") and len(
        view.problems
    ) == 1
    made = replace(
        own, managed=True, stamp={"build": "cu130", "warning": "It failed.", "warning_hint": "Try."}
    )
    assert setup_view(situation(made)).badge == "It failed. Try.", "what the installer found goes first"


def test_a_build_that_was_only_chosen_is_no_card() -> None:
    engine = Situation(look(LINUX), python=ENGINE, stamp={"build": "cpu"}, probe=CPU_PROBE)
    view = setup_view(situation(replace(engine, choices=SetupChoices(build="cu130"))))
    assert (view.state, view.badge, view.button) == ("ready", "", "")


def test_a_card_that_is_used_has_no_warning() -> None:
    assert shown("ready").badge == "" and badge_text(CARD_PROBE) == "RTX 4090"


def test_a_failed_update_says_that_the_old_engine_works() -> None:
    view = shown("update", failure=situation("failed").failure)
    assert view.state == "failed" and "from before" in view.plan and view.button == "&Try again"


def test_without_an_answer_of_the_engine_it_is_not_ready() -> None:
    problem = {"severity": "error", "code": "engine_died", "message": "It died.", "hint": ""}
    view = shown("probing", probing=False, problems=(problem,))
    assert view.state == "broken" and view.button == "&Repair the engine"
    assert not shown("own", problems=(problem,)).button, "an environment of the user's own is left alone"


@pytest.mark.parametrize(
    ("proof", "text"),
    [
        ({"convolution": "ok", "training_step": "ok"}, "convolution and training step agree with the CPU"),
        ({"convolution": "differs", "training_step": "not tried"}, "convolution: differs"),
        ({"convolution": "not tried"}, ""),
        ({}, ""),
    ],
)
def test_the_proof_is_shown_as_it_went(proof: dict[str, str], text: str) -> None:
    assert proof_text({"device": "cuda:0", "proof": proof}, {}) == text


def test_the_proof_of_the_installation_is_read_from_the_stamp() -> None:
    assert "training step" in proof_text({}, {"proof": '{"convolution": "ok", "training_step": "ok"}'})
    assert proof_text({}, {"proof": "{"}) == "" and proof_text({}, {"proof": "[1]"}) == ""


def test_steps_have_plain_names() -> None:
    steps = (
        "Install torch-cu130",
        "Install libraries-cu130",
        "Install runtime-onnxruntime-gpu",
        "Check the files",
    )
    assert [step_text(item) for item in steps] == [
        "Install PyTorch",
        "Install libraries for the card",
        "Install ONNX Runtime",
        "Check the files",
    ]


def test_equal_cards_are_counted() -> None:
    assert card_texts([RTX_4090, RTX_4090])[0].startswith("2 × NVIDIA") and card_texts([]) == []
    assert card_texts([APPLE_M3]) == ["Apple M3 Pro, 18 GB"]


def test_sizes_and_paths_are_short() -> None:
    assert [size_text(item) for item in (231, 2_600, 120_400)] == ["231 MB", "2.6 GB", "120 GB"]
    assert short_path("C:\\Users\\a\\AppData\\Local\\geoseg\\engine\\Scripts\\python.exe") == (
        "C:\\…\\Scripts\\python.exe"
    )
    assert short_path("/opt/e/bin/python") == "/opt/e/bin/python"
    assert short_path("/" + "a" * 60) == "/" + "a" * 60


def test_sizes_on_disk_are_stated_in_one_way() -> None:
    builds = {item.build.key: propose(LINUX, item.build.key) for item in choices(LINUX)}
    largest = max(item.disk_mb for key, item in builds.items() if key in ("cu126", "cu130"))
    for name in ("README.md", "metadata.txt"):
        text = (paths.plugin_dir().parent / name).read_text(encoding="utf-8")
        assert size_text(builds["cpu"].disk_mb) in text and f"up to {ceil(largest / 1000)} GB" in text


# the dialog


def test_the_dialog_lists_what_can_run_here() -> None:
    view = dialog_view(situation("card"), busy=False)
    titles = {entry.key: entry.title for entry in view.builds}
    assert list(titles)[:3] == ["auto", "cpu", "cu130"] and "experimental" in titles["xpu"]
    assert not view.why_no_setup and view.why_no_engine and "GB to download" in view.build_note
    assert view.python_found.endswith("python.exe") and view.folder_used.endswith("engine")


def test_while_something_runs_the_dialog_waits() -> None:
    view = dialog_view(situation("ready"), busy=True)
    assert view.why_no_setup == view.why_busy == view.why_no_engine != ""
    idle = dialog_view(situation("ready"), busy=False)
    assert (idle.why_no_setup, idle.why_no_engine, idle.button) == ("", "", "&Set up again")


def test_a_folder_that_a_variable_names_is_not_changed_here() -> None:
    free, named = situation("ready"), replace(situation("ready"), folder_named=True)
    assert (
        dialog_view(free, busy=False).why_no_move == ""
        and "Move" in dialog_view(free, busy=False).why_no_folder
    )
    assert "GEOSEG_ENGINE_DIR" in dialog_view(named, busy=False).why_no_move
    assert "GEOSEG_ENGINE_DIR" in dialog_view(named, busy=False).why_no_folder


def test_the_size_of_an_engine_is_shown() -> None:
    now = situation("ready")
    assert now.look is not None
    now = replace(now, look=replace(now.look, size_mb=7_020))
    assert dialog_view(now, busy=False).size_note.startswith("7.0 GB in C:")
    assert "your own" in dialog_view(situation("own"), busy=False).size_note
