"""The scan of the zip finds what it is for, and the metadata in the zip are those of the project."""

from __future__ import annotations

import configparser
import zipfile
from pathlib import Path

import package
import pytest
import scan
from sources import ROOT

GOOD_ADDRESS = "https://geoseg.invalid/project"


def rules(findings: list[scan.Finding]) -> set[str]:
    return {item.rule for item in findings}


def zipped(file: Path, *names: str, mode: int = 0o644, content: bytes = b"") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return file


def values_of(text: str) -> configparser.SectionProxy:
    """Values as QGIS and the repository read them, percent signs included."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser["general"]


def test_a_zip_of_one_folder_with_what_is_needed_is_taken(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", "plugin/__init__.py", "plugin/metadata.txt", "plugin/LICENSE")
    assert list(scan.structure(archive)) == []


@pytest.mark.parametrize(
    ("name", "mode", "content", "rule"),
    [
        ("plugin/.hidden", 0o644, b"", "hidden"),
        ("plugin/__pycache__/a.txt", 0o644, b"", "name"),
        ("plugin/../a.py", 0o644, b"", "name"),
        ("plugin/a.pyc", 0o644, b"", "suspicious"),
        ("plugin/a.sh", 0o644, b"", "suspicious"),
        ("plugin/a.py", 0o755, b"", "executable"),
        ("plugin/a.bin", 0o644, b"a\0b", "binary"),
        ("other/a.py", 0o644, b"", "folder"),
    ],
)
def test_what_does_not_belong_into_a_zip_is_found(
    tmp_path: Path, name: str, mode: int, content: bytes, rule: str
) -> None:
    archive = zipped(tmp_path / "a.zip", "plugin/__init__.py", "plugin/metadata.txt", "plugin/LICENSE")
    with zipfile.ZipFile(archive, "a") as more:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        more.writestr(info, content)
    assert rules(list(scan.structure(archive))) == {rule}


def test_missing_files_are_found(tmp_path: Path) -> None:
    found = list(scan.structure(zipped(tmp_path / "a.zip", "plugin/__init__.py")))
    assert [item.rule for item in found] == ["missing", "missing"]


def test_metadata_in_the_zip_are_complete() -> None:
    text = package.metadata(address=GOOD_ADDRESS)
    found = list(scan.metadata(text, {"resources/icons/geoseg.svg"}))
    assert rules(found) <= set(scan.SILENCED_UNTIL_RELEASE), found
    values = values_of(text)
    assert values["homepage"] == values["repository"] == GOOD_ADDRESS
    assert values["tracker"] == f"{GOOD_ADDRESS}/issues"
    assert "supportsqt6" not in values


def test_the_repository_names_no_address_but_in_one_place() -> None:
    own = (ROOT / "metadata.txt").read_text(encoding="utf-8")
    assert [key for key in scan.ADDRESS_KEYS if f"\n{key}=" in own] == []


def test_about_says_platforms_needs_and_neighbours() -> None:
    about = values_of(package.metadata())["about"]
    for word in (
        "Linux",
        "Windows",
        "macOS",
        "Python 3.11 to 3.14",
        "venv",
        "dzetsaka",
        "SpecDeepMap",
        "GeoAI",
    ):
        assert word in about, word


def test_wrong_metadata_are_found() -> None:
    text = "[general]\nname=A\nversion=1.0-beta\nsupportsQt6=True\nicon=none.svg\nhomepage=http://example.org\nchangelog=2.0.0"
    found = list(scan.metadata(text, set()))
    assert {"version", "supportsQt6", "icon", "homepage", "email"} <= {item.place for item in found}
    assert {"placeholder", "unnumbered"} <= rules(found)
    assert rules(list(scan.metadata("[general]\nabout=50 % of it", set()))) == {"metadata"}


def test_the_changelog_becomes_a_value() -> None:
    text = "# Changelog\n\n## 0.2.0\n\nBetter by 5 %,\nsaid twice.\n\n- One\n  line.\n- Two.\n\n## 0.1.0\n\nFirst.\n"
    values = values_of(f"[general]\nchangelog={package.changelog(text)}\nname=A")
    lines = ["0.2.0", "Better by 5 %, said twice.", "- One line.", "- Two.", "0.1.0", "First."]
    assert values["changelog"].strip().splitlines() == lines and values["name"] == "A"
    own = values_of(package.metadata())["changelog"]
    assert "0.1.0" in own.splitlines() and "%%" not in own


QT5_ONLY = (
    "from PyQt5.QtCore import Qt",
    "from qgis.PyQt.QtCore import Qt\nQt.AlignLeft",
    "from qgis.PyQt.QtCore import Qt as Q\nQ.AlignLeft",
    "from qgis.PyQt import QtCore\nQtCore.Qt.AlignLeft",
    "from qgis.PyQt.QtWidgets import QLabel\nQLabel.StyledPanel",
    "from qgis.PyQt.QtCore import QVariant\nQVariant.Int",
    "from qgis.PyQt.QtCore import QVariant\nQVariant()",
    "from qgis.core import QgsWkbTypes\nQgsWkbTypes.Polygon",
    "from qgis.PyQt.QtCore import QRegExp",
    "dialog.exec_()",
    "box.activated[str].connect(print)",
    "menu.addAction(icon, 'a', print, 'b')",
    "widget.fontMetrics().width('a')",
    "QDateTime(QDate(2026, 1, 1))",
)


@pytest.mark.parametrize("code", QT5_ONLY)
def test_what_works_with_qt_5_only_is_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "a.py").write_text(code, encoding="utf-8")
    assert rules(list(scan.pyqt6(tmp_path))) == {"PyQt 6"}


def test_what_works_with_both_is_not(tmp_path: Path) -> None:
    code = """from qgis.PyQt.QtCore import QDateTime, QMetaType, Qt
from qgis.PyQt.QtWidgets import QAction, QMenu
from qgis.core import Qgis
kinds = Qt.AlignmentFlag.AlignLeft, Qgis.WkbType.Polygon, QMetaType.Type.Int, Qt.AlignmentFlag
QMenu().addAction(QAction("a"))
QDateTime.currentDateTime()
"""
    (tmp_path / "a.py").write_text(code, encoding="utf-8")
    assert list(scan.pyqt6(tmp_path)) == []


def test_a_silenced_rule_needs_its_name_and_a_reason(tmp_path: Path) -> None:
    lines = ["a  # nosec B603  # a list, no shell", "b  # noqa: F401  (wanted)", "c  # nosec", "d  # noqa: F401",
             "e  # nosec B603", "f  # pragma: allowlist secret"]  # fmt: skip
    (tmp_path / "a.py").write_text("\n".join(lines), encoding="utf-8")
    assert [comment is not None for _, comment in scan.remarks(tmp_path)] == [True, True, *[False] * 4]


def test_the_tools_run_with_the_rules_of_the_repository(tmp_path: Path) -> None:
    code = f"import subprocess\nassert subprocess\nkey = 'AKIA{'Q' * 16}'\nprint(nowhere)\n"
    (tmp_path / "a.py").write_text(code, encoding="utf-8")
    assert rules(list(scan.bandit(tmp_path))) == {"B101"}, "the import of subprocess is not among the rules"
    assert rules(list(scan.secrets(tmp_path))) == {"AWS Access Key"}
    assert rules(list(scan.flake8(tmp_path))) == {"F821"}


def test_a_tool_that_fails_is_not_taken_for_a_clean_scan(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no_such_tool"):
        scan.output_of("no_such_tool", folder=tmp_path)
