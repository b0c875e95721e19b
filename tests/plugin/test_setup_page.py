"""The set-up in the panel: page, dialog, badge, tasks; QGIS's proxy; and nothing that holds the main thread."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from docked import Desk
from heartbeat import Heartbeat
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QPushButton
from setup_states import (
    CARD_PROBE,
    CPU_PROBE,
    LINUX,
    PROXY,
    RTX_4090,
    RTX_5090,
    SITUATIONS,
    WINDOWS,
    look,
    show,
    situation,
)
from waiting import wait_for

from geoseg_plugin.contract import Cancelled, GeoSegError
from geoseg_plugin.engine.setup import maintenance
from geoseg_plugin.engine.setup.kit import Kit, KitPlatform
from geoseg_plugin.engine.setup.plan import Listener, Network, Plan
from geoseg_plugin.engine.setup.simple_index import DEFAULT_INDEX
from geoseg_plugin.engine.setup.space import free_mb
from geoseg_plugin.panel.settings import ENGINE_BUILD
from geoseg_plugin.panel.widgets.footer import Footer
from geoseg_plugin.steps.engine import setup_controller
from geoseg_plugin.steps.engine.look import look as look_at_this_computer
from geoseg_plugin.steps.engine.page import EnginePage
from geoseg_plugin.steps.engine.setup_dialog import KitDialog, SetupDialog
from geoseg_plugin.steps.engine.setup_state import SetupChoices, Working
from geoseg_plugin.tasks.network import Proxy, fetch, find_proxy, qgis_network
from geoseg_plugin.tasks.runner import TaskRunner

WIDTH_PX = 305
NETWORK = Network({"HTTPS_PROXY": "http://ada:secret@proxy.example.org:1"})


@pytest.fixture
def bare(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A panel on a computer with a card and without an engine."""
    monkeypatch.delenv("GEOSEG_ENGINE_PYTHON")
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", str(tmp_path / "engine"))
    desk.panel.engine.setup.look = lambda: None  # type: ignore[method-assign]
    desk.panel.engine.setup.show_found(look(WINDOWS, RTX_4090))
    yield desk
    QgsSettings().remove(ENGINE_BUILD)


def setup_of(desk: Desk) -> setup_controller.SetupController:
    return desk.panel.engine.setup


# one button


def test_one_button_sets_the_engine_up(bare: Desk, tmp_path: Path) -> None:
    page = bare.pages.engine
    assert page.headline.text() == "NVIDIA GeForce RTX 4090 will be used"
    assert "GB to download" in page.sentence.text() and page.progress.isHidden()
    page.install_button.click()
    assert bare.runner.plans == [Plan(tmp_path / "engine")]
    assert not page.progress.isHidden() and page.install_button.isHidden() and page.cancel_button.isEnabled()
    assert "GB to download" in page.sentence.text()
    bare.runner.progressed.emit("Install PyTorch", 0.42, 130.0)
    assert page.step_label.text() == "Install PyTorch" and page.bar.value() == 420
    assert page.left_label.text() == "about 2 min left"
    page.cancel_button.click()
    assert bare.runner.wishes[-1] == "cancel" and not page.cancel_button.isEnabled()
    bare.runner.busy = False
    bare.runner.cancelled.emit()
    bare.runner.idle.emit()
    assert page.progress.isHidden() and page.install_button.isEnabled()
    assert page.view.state == "card", "what was found is shown again"


def test_while_the_computer_is_looked_at_nothing_can_be_installed(bare: Desk) -> None:
    setup_of(bare).found = None
    bare.panel.engine.show_state()
    page = bare.pages.engine
    assert page.headline.text() == "Looking at this computer…" and not page.install_button.isEnabled()
    assert "looked at" in page.install_button.toolTip()


def test_a_failure_is_on_the_page_and_the_button_tries_again(bare: Desk) -> None:
    page = bare.pages.engine
    bare.dock.show_step("engine")
    page.install_button.click()
    bare.runner.fail(PROXY["code"], PROXY["message"], PROXY["hint"])
    assert page.view.state == "failed" and page.problem_list.texts() == [PROXY["message"]]
    assert PROXY["hint"] in page.problem_list.toPlainText() and not page.copy_button.isHidden()
    assert bare.dock.messages.text() == "", "it is not shown twice"
    page.install_button.click()
    assert len(bare.runner.plans) == 2
    bare.runner.busy = False
    bare.runner.cancelled.emit()
    bare.runner.idle.emit()
    assert page.view.state == "card", "the failure is no longer the last word"


def test_after_installing_the_engine_is_probed_and_the_way_leads_on(
    bare: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.pages.engine.install_button.click()
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", "/usr/bin/python3")
    bare.runner.busy = False
    bare.runner.finished.emit("install", {"python": "x"}, "")
    bare.runner.idle.emit()
    assert bare.asked.job().kind == "probe" and 'href="data"' in bare.pages.engine.next_step.text()


def test_a_failed_repair_is_repaired_again(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    page = bare.pages.engine
    show(bare.panel, "broken")
    assert page.install_button.text() == "&Repair the engine"
    page.install_button.click()
    assert bare.runner.wishes == ["maintain Repairing the engine"]
    bare.runner.fail("install_network", "The server cannot be reached", "Again.")
    page.install_button.click()
    assert bare.runner.wishes == ["maintain Repairing the engine"] * 2


# the badge


def test_the_warning_stays_on_the_badge_while_jobs_run(bare: Desk) -> None:
    show(bare.panel, "warning-driver")
    footer = bare.dock.footer
    assert (
        footer.device() == "CPU"
        and "580" in footer.device_warning()
        and RTX_5090.name in footer.device_warning()
    )
    assert footer._badge.accessibleName() == "Device: CPU, with a warning"
    bare.runner.hello_received.emit({"device": "cpu"})
    assert "580" in footer.device_warning()
    bare.dock.show_step("data")
    footer._badge.click()
    assert bare.dock.current_step() == "engine", "the badge leads to the reason"


def test_a_badge_without_a_warning(qgis_app: Any) -> None:
    footer = Footer()
    footer.set_device("CPU", "CPU (Xeon)", "No driver. Install it.")
    assert footer.device_warning() == "No driver. Install it."
    footer.set_device("RTX 4090", "NVIDIA GeForce RTX 4090, 24 GB")
    assert footer.device_warning() == "" and footer._badge.toolTip().endswith("24 GB")


# the dialog


def test_what_is_chosen_in_the_dialog_is_installed(bare: Desk, tmp_path: Path) -> None:
    setup = setup_of(bare)
    setup.open_dialog()
    dialog = setup.dialog
    assert dialog is not None
    assert [dialog.build.itemData(row) for row in range(3)] == ["auto", "cpu", "cu130"]
    dialog.build.setCurrentIndex(dialog.build.findData("cu126"))
    assert "CUDA 12.6" in dialog.build_note.text() and "CUDA 12.6" in bare.pages.engine.sentence.text()
    dialog.folder.setFilePath(str(tmp_path / "other"))
    dialog.python.setFilePath("/usr/bin/python3")
    dialog.with_richdem.setChecked(False)
    dialog.setup_button.click()
    plan = Plan(tmp_path / "other", "cu126", "/usr/bin/python3", False)
    assert bare.runner.plans == [plan] and not dialog.setup_button.isEnabled()
    assert "running" in dialog.setup_button.toolTip() and "running" in dialog.repair_button.toolTip()


def test_the_dialog_shows_what_is_chosen_when_it_opens(bare: Desk) -> None:
    setup = setup_of(bare)
    setup.choices = SetupChoices("cpu", with_richdem=False)
    setup.open_dialog()
    assert setup.dialog is not None and setup.dialog.choices() == setup.choices
    setup.dialog.folder.setFilePath("/other")
    assert setup.choices == SetupChoices("cpu", folder="/other", with_richdem=False)
    setup.install()
    bare.runner.fail("x", "No.")
    assert setup.dialog.choices().folder == "/other", "what was chosen is still chosen when it is tried again"


def test_without_an_engine_there_is_nothing_to_repair(bare: Desk) -> None:
    setup_of(bare).open_dialog()
    dialog = setup_of(bare).dialog
    assert dialog is not None
    for button in (dialog.repair_button, dialog.move_button, dialog.remove_button):
        assert not button.isEnabled() and button.toolTip() == "There is no engine that GeoSeg set up."
    assert dialog.kit_button.isEnabled() and dialog.save_button.isEnabled() and dialog.log_button.isEnabled()


def test_installing_from_a_folder(bare: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, page = setup_of(bare), bare.pages.engine

    setup.install_from(tmp_path / "missing")
    assert "is no offline kit" in bare.dock.messages.text() and page.view.state == "card"
    monkeypatch.setattr(setup_controller.kit, "read_kit", lambda folder: Kit(folder, "linux-x86_64", "cpu"))
    setup.install_from(tmp_path)
    assert "this computer is windows" in bare.dock.messages.text() and page.view.state == "card"
    monkeypatch.setattr(Kit, "check", lambda _kit, _platform: None)
    monkeypatch.setattr(
        setup_controller.kit, "read_kit", lambda folder: Kit(folder, "windows-x86_64", "cu126")
    )
    setup.install_from(tmp_path)
    proposal = setup.proposal()
    assert proposal is not None and proposal.build is not None and proposal.build.key == "cu126"
    assert page.view.state == "offline" and str(tmp_path) in page.sentence.text()
    page.install_button.click()
    assert bare.runner.plans[-1].kit == tmp_path


def test_maintenance_runs_in_tasks(bare: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[Any, ...]] = []
    setup, root = setup_of(bare), tmp_path / "engine"
    engine = type("Made", (), {"python": root / "bin" / "python"})
    monkeypatch.setattr(maintenance, "repair", lambda *given: called.append(("repair", *given)) or engine)
    monkeypatch.setattr(maintenance, "move", lambda *given: called.append(("move", *given)) or engine)
    monkeypatch.setattr(maintenance, "clear_cache", lambda *given: called.append(("clear", *given)))
    monkeypatch.setattr(maintenance, "remove", lambda *given: called.append(("remove", *given)))
    monkeypatch.setattr(
        setup_controller.kit, "save_kit", lambda *given: called.append(("kit", *given)) or given[0]
    )
    listener = Listener()
    for start in (
        setup.repair,
        lambda: setup.move(tmp_path / "disk"),
        lambda: setup.save_kit(tmp_path / "kit", "linux-cpu"),
        setup.clear_cache,
        setup.remove,
    ):
        start()
        bare.runner.works[-1](listener, NETWORK)
        assert bare.pages.engine.view.state == "installing"
        bare.runner.finish()
    assert called == [
        ("repair", root, listener, NETWORK),
        ("move", root, tmp_path / "disk", listener),
        ("kit", tmp_path / "kit", "linux-cpu", listener, NETWORK),
        ("clear", root),
        ("remove", root, listener),
    ]


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_removing_asks_first(answer: str, bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, texts = setup_of(bare), []
    setup.show_found(look(WINDOWS, RTX_4090, size_mb=7_000))
    setup.open_dialog()

    def question(_parent: Any, _title: str, text: str, _buttons: Any) -> Any:
        texts.append(text)
        return getattr(QMessageBox.StandardButton, answer)

    monkeypatch.setattr(setup_controller.QMessageBox, "question", question)
    setup._on_remove_requested()
    assert "7.0 GB" in texts[0] and bool(bare.runner.works) is (answer == "Yes")


def test_a_folder_for_another_computer(qgis_app: Any, tmp_path: Path) -> None:
    dialog = KitDialog([KitPlatform("windows-cu130", "Windows, NVIDIA", 2_600)])
    save = dialog.buttons.buttons()[0]
    assert dialog.platform.itemText(0) == "Windows, NVIDIA (2.6 GB)" and not save.isEnabled()
    dialog.folder.setFilePath(str(tmp_path))
    assert save.isEnabled()


def test_an_environment_of_the_users_own(bare: Desk, tmp_path: Path) -> None:
    setup = setup_of(bare)
    setup.open_dialog()
    assert setup.dialog is not None
    setup.dialog.own.setFilePath(str(tmp_path / "missing"))
    setup.dialog.own_button.click()
    assert "There is no Python" in bare.dock.messages.text()
    python = tmp_path / "python"
    python.write_text("", encoding="utf-8")
    try:
        setup.dialog.own.setFilePath(str(python))
        setup.dialog.own_button.click()
        assert bare.asked.job().kind == "probe" and bare.pages.engine.view.state == "probing"
        bare.asked.finish(**CPU_PROBE, problems=[])
        assert bare.pages.engine.view.state == "own"
        assert setup.dialog.repair_button.isEnabled() is False
        setup.install()
        assert bare.runner.plans, "and back"
        assert not QgsSettings().value("geoseg/engine_python", "")
    finally:
        QgsSettings().remove("geoseg/engine_python")


def test_diagnostics_hide_names_and_passwords(bare: Desk) -> None:
    bare.dock.footer.add_log("info", "index https://ada:secret@index.example.org/simple in /home/ada/x")
    bare.panel.engine.copy_diagnostics()
    text = QApplication.clipboard().text()
    assert "RTX 4090" in text and "proposed: cu130" in text
    assert "secret" not in text and "/home/ada" not in text


# by keyboard, in a narrow panel, for screen readers


@pytest.mark.parametrize("name", list(SITUATIONS))
def test_nothing_is_cut_in_a_narrow_panel(name: str, desk: Desk) -> None:
    desk.dock.show_step("engine")
    desk.dock.resize(WIDTH_PX, 900)
    desk.dock.show()
    show(desk.panel, name)
    QApplication.sendPostedEvents()
    page = desk.pages.engine
    for button in page.findChildren(QPushButton):
        if button.isVisible():
            assert button.width() >= button.sizeHint().width(), button.text()
            assert button.accessibleName(), button.text()
    for row in range(page.facts.rowCount()):
        item = page.facts.itemAtPosition(row, 1)
        if item is not None:
            label = item.widget()
            longest = max(re.split(r"[ /\\]", label.text()), key=len)
            assert label.fontMetrics().horizontalAdvance(longest) <= label.width(), longest
            assert label.accessibleName().endswith(label.text())


def test_everything_is_reached_by_tab(bare: Desk) -> None:
    page = bare.pages.engine
    bare.dock.show_step("engine")
    bare.dock.resize(WIDTH_PX, 900)
    bare.dock.show()
    QApplication.setActiveWindow(bare.dock)
    page.install_button.setFocus()
    met = []
    for _press in range(6):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        met.append(QApplication.focusWidget())
    assert page.change_button in met and page.check_button in met
    page.install_button.setFocus()
    QTest.keyClick(page.install_button, Qt.Key.Key_Space)
    assert bare.runner.plans


def test_enter_in_a_field_of_the_dialog_starts_nothing(bare: Desk) -> None:
    setup_of(bare).open_dialog()
    dialog = setup_of(bare).dialog
    assert dialog is not None
    QTest.keyClick(dialog.folder.lineEdit(), Qt.Key.Key_Return)
    assert bare.runner.plans == []
    assert all(
        button.accessibleName() for button in dialog.findChildren(QPushButton) if button.parent() is dialog
    )


# off the main thread


def test_a_look_at_the_computer_does_not_hold_the_main_thread(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def slow(_root: Path, _python: str) -> Any:
        threads.append(threading.get_ident())
        time.sleep(0.5)
        return look(LINUX)

    monkeypatch.setattr(setup_controller.looking, "look", slow)
    monkeypatch.delenv("GEOSEG_ENGINE_PYTHON")
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", str(tmp_path / "engine"))
    setup, beat = setup_of(desk), Heartbeat()
    desk.panel.engine.show_state()
    with wait_for(setup.looker.idle):
        setup.look()
        assert desk.pages.engine.view.state == "looking"
        setup.look()
    beat.stop()
    assert beat.longest_s < 0.25 and setup.found == look(LINUX)
    while setup.looker.busy:
        QApplication.processEvents()
    assert len(threads) == 2, "a change while it looks is looked at afterwards"
    assert threading.get_ident() not in threads


def test_a_look_at_this_computer_finds_something(qgis_app: Any, tmp_path: Path) -> None:
    found = look_at_this_computer(tmp_path / "not" / "there")
    assert found.free_mb > 0 and found.size_mb == -1 and found.folder.endswith("there")
    assert found.machine.system in ("linux", "windows", "macos")
    assert free_mb(tmp_path) == pytest.approx(found.free_mb, rel=0.5)


def test_a_set_up_reports_from_its_task(qgis_app: Any) -> None:
    runner, steps, lines, ended = TaskRunner(), [], [], []
    runner.progressed.connect(lambda step, fraction, _left: steps.append((step, fraction)))
    runner.log_added.connect(lambda _level, text: lines.append(text))
    runner.finished.connect(lambda title, result, folder: ended.append((title, result, folder)))

    def work(listener: Listener, network: Network) -> dict[str, Any]:
        listener.on_line("hello")
        listener.on_progress("Install", 0.5)
        assert not listener.is_cancelled() and network.fetch is fetch
        return {"python": "p"}

    with wait_for(runner.idle):
        runner.maintain("Title", work, "folder")
    assert ended == [("Title", {"python": "p"}, "folder")] and "hello" in lines


# the network of QGIS


@pytest.fixture
def proxied(qgis_app: Any) -> Iterator[Any]:
    """Sets QGIS's proxy; takes it back."""
    names: list[str] = []

    def choose(**values: Any) -> None:
        for name, value in values.items():
            names.append(name)
            QgsSettings().setValue(f"proxy/{name}", value)

    yield choose
    for name in names:
        QgsSettings().remove(f"proxy/{name}")


def in_a_thread(function: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_the_proxy_of_qgis_goes_to_the_programs_as_variables(proxied: Any) -> None:
    proxied(
        proxyEnabled=True,
        proxyType="HttpProxy",
        proxyHost="proxy.example.org",
        proxyPort="8080",
        proxyUser="Jörg",
        proxyPassword="a b@:/",
        noProxyUrls=["https://intranet.example.org"],
    )
    found = in_a_thread(find_proxy)
    environ = found.environ()
    assert (
        environ["HTTPS_PROXY"]
        == environ["https_proxy"]
        == "http://J%C3%B6rg:a%20b%40%3A%2F@proxy.example.org:8080"
    )
    assert environ["NO_PROXY"] == "intranet.example.org"
    assert found.name == "proxy.example.org:8080", "what is shown has no login"
    assert "a b" not in repr(found)
    network = in_a_thread(qgis_network)
    assert network.environ == environ


def test_a_changed_proxy_holds_for_threads_that_ran_before(proxied: Any) -> None:
    def changed() -> tuple[str, str]:
        proxied(proxyEnabled=True, proxyType="HttpProxy", proxyHost="one.example.org", proxyPort="1")
        first = find_proxy(environ={}).name
        proxied(proxyHost="two.example.org")
        return first, find_proxy(environ={}).name

    assert in_a_thread(changed) == ("one.example.org:1", "two.example.org:1")


def test_a_host_that_qgis_reaches_directly_is_an_exception(proxied: Any) -> None:
    proxied(proxyEnabled=True, proxyType="Socks5Proxy", proxyHost="::1", proxyPort="1080",
            proxyExcludedUrls=[DEFAULT_INDEX])  # fmt: skip
    environ = in_a_thread(lambda: find_proxy(environ={})).environ()
    assert (
        environ["HTTPS_PROXY"] == "socks5h://[::1]:1080"
        and environ["NO_PROXY"] == urlsplit(DEFAULT_INDEX).hostname
    )


def test_without_a_proxy_in_qgis_that_of_the_environment_stays(proxied: Any) -> None:
    proxied(proxyEnabled=False)
    found = in_a_thread(lambda: find_proxy(environ={"HTTPS_PROXY": "http://ada:secret@px.example.org:3128"}))
    assert (found.name, found.environ()) == ("px.example.org:3128", {}) and "secret" not in repr(found)
    assert in_a_thread(lambda: find_proxy(environ={})) == Proxy()
    assert in_a_thread(lambda: find_proxy(environ={"HTTPS_PROXY": "http://[:x"})).name == ""


CONTENT = bytes(range(256)) * 400


class Answers(BaseHTTPRequestHandler):
    """Has one file; `cut.zip` is the same, but its first half breaks off."""

    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.ranges.append(wanted)
        if self.path == "/old":
            self.send_response(302)
            self.send_header("Location", "/uv.zip")
            self.end_headers()
            return
        found = self.path in ("/uv.zip", "/cut.zip")
        start = int(wanted[6:-1]) if wanted else 0
        self.send_response(206 if wanted else 200 if found else 404)
        body = CONTENT[start:] if found else b"no such file"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut.zip" and not wanted else body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """A server on loopback."""
    made = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def test_a_file_is_fetched_through_qgis(qgis_app: Any, server: str, tmp_path: Path) -> None:
    target = tmp_path / "uv.zip"

    def work(address: str) -> Any:
        try:
            return fetch(address, target, lambda: False)
        except GeoSegError as error:
            return error

    for name in ("uv.zip", "old"):
        assert (
            in_a_thread(lambda name=name: work(f"{server}/{name}")) is None and target.read_bytes() == CONTENT
        )
    error = in_a_thread(lambda: work(f"{server}/other"))
    assert error.code == "install_no_package" and "127.0.0.1" in error.message and not target.exists()
    error = in_a_thread(lambda: work("http://127.0.0.1:9/uv.zip"))
    assert error.code == "install_network" and error.hint


def test_a_download_that_breaks_off_continues(qgis_app: Any, server: str, tmp_path: Path) -> None:
    Answers.ranges.clear()
    in_a_thread(lambda: fetch(f"{server}/cut.zip", tmp_path / "x", lambda: False))
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert Answers.ranges == ["", f"bytes={len(CONTENT) // 2}-"]


def test_a_full_disk_is_no_fault_of_the_network(qgis_app: Any, server: str, tmp_path: Path) -> None:
    def work() -> Any:
        try:
            return fetch(f"{server}/uv.zip", tmp_path / "missing" / "x", lambda: False)
        except OSError as error:
            return error

    assert isinstance(in_a_thread(work), FileNotFoundError)


def test_a_fetch_that_is_cancelled_writes_nothing(qgis_app: Any, server: str, tmp_path: Path) -> None:
    def work() -> bool:
        try:
            fetch(f"{server}/uv.zip", tmp_path / "uv.zip", lambda: True)
        except Cancelled:
            return True
        return False

    assert in_a_thread(work) and list(tmp_path.iterdir()) == []


def test_progress_that_is_not_known(qgis_app: Any) -> None:
    page = EnginePage()
    page.show_progress(Working("Setting up", "Probing", -1, -1))
    assert page.bar.maximum() == 0 and page.left_label.text() == ""


def test_a_dialog_alone(qgis_app: Any) -> None:
    dialog = SetupDialog()
    assert dialog.choices().build == "auto" and dialog.choices().with_richdem
    assert replace(situation("card")).look is not None and CARD_PROBE["device"] == "cuda:0"
