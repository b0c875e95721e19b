"""Sizes, names and words that keep the code easy to live in."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

from sources import ENGINE, PLUGIN, PRODUCT, ROOT, for_each, place, project_files, python_files, tree

LONGEST_MODULE, LONGEST_FUNCTION = 700, 60
VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)", re.IGNORECASE)
BORDERS = {PLUGIN / "tasks" / "guarded.py", ENGINE / "run.py"}
FILES = [file for folder in PRODUCT for file in python_files(folder)]


@for_each(FILES)
def test_modules_and_functions_stay_small(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{place(file)} has {lines} lines"
    long = [
        f"{place(file, node.lineno)} {node.name}: {lines} lines"
        for node in ast.walk(tree(file))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := _lines_of_code(node)) > LONGEST_FUNCTION
    ]
    assert long == []


def _lines_of_code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring, which documents arguments one a line."""
    first = node.body[0]
    described = ast.get_docstring(node) is not None
    return _height(node) - (_height(first) if described else 0)


def _height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@for_each(FILES)
def test_names_say_what_is_inside(file: Path) -> None:
    assert not VAGUE.search(file.stem) and not any(
        VAGUE.search(part) for part in file.relative_to(ROOT).parts
    )
    classes = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)]
    vague = [node for node in classes if re.search(r"(Utils?|Helpers?|Manager|Common)$", node.name)]
    assert [place(file, node.lineno) for node in vague] == []


@for_each(FILES)
def test_modules_say_what_they_are_for(file: Path) -> None:
    assert ast.get_docstring(tree(file)), place(file)


@for_each([*python_files(PLUGIN), *python_files(ENGINE)])
def test_everything_is_caught_at_the_borders_only(file: Path) -> None:
    wide = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ExceptHandler) and _is_wide(node)]
    assert file in BORDERS or [place(file, node.lineno) for node in wide if not _raises_on(node)] == []


def _raises_on(node: ast.ExceptHandler) -> bool:
    """Tidying up and raising the same error again hides nothing."""
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_wide(node: ast.ExceptHandler) -> bool:
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(item is None or (isinstance(item, ast.Name) and item.id in ("Exception", "BaseException"))
               for item in caught)  # fmt: skip


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Calls of a file with the last part of the called name."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            function = node.func
            yield getattr(function, "attr", getattr(function, "id", "")), node


@for_each(python_files(PLUGIN))
def test_translated_texts_are_whole(file: Path) -> None:
    """`tr("… {}").format(x)`: a translator must see the text as it is in the source."""
    built = (ast.JoinedStr, ast.BinOp, ast.Call)
    wrong = [
        place(file, node.lineno)
        for name, node in calls(file)
        if name in ("tr", "translate") and any(isinstance(text, built) for text in node.args)
    ]
    assert wrong == []


@for_each(python_files(PLUGIN))
def test_one_source_for_both_qt_versions_and_no_spinning(file: Path) -> None:
    taboo = {"exec_", "processEvents"}
    assert [place(file, node.lineno) for name, node in calls(file) if name in taboo] == []


@for_each([*FILES, *python_files(ROOT / "tests")])
def test_text_is_read_and_written_with_its_encoding_named(file: Path) -> None:
    """Without UTF-8 as default (Windows, LC_ALL=C) anything else depends on the machine."""
    wrong = [
        place(file, node.lineno)
        for name, node in calls(file)
        if not any(word.arg in (None, "encoding") for word in node.keywords) and _is_text(name, node)
    ]
    assert wrong == []


def _is_text(name: str, call: ast.Call) -> bool:
    """Whether a call reads or writes text and says nothing of its encoding."""
    words = {word.arg: word.value for word in call.keywords}
    if name in ("read_text", "write_text"):
        return len(call.args) < (1 if name == "read_text" else 2)
    if name in ("run", "Popen", "check_output", "check_call"):
        return "text" in words or "universal_newlines" in words
    if name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile"):
        default = "w+b" if name.endswith("File") else "r"
        first = 0 if name.endswith("File") or (isinstance(call.func, ast.Attribute) and name == "open") else 1
        mode = words.get("mode", call.args[first] if len(call.args) > first else ast.Constant(default))
        opens = isinstance(call.func, ast.Name) or len(call.args) > first or "mode" in words
        return (
            opens
            and isinstance(mode, ast.Constant)
            and re.fullmatch("[rwxat+]+", str(mode.value)) is not None
        )
    return False


def may_name_hosts(file: Path) -> bool:
    """The set-up knows where packages are, QGIS is asked for the proxy to there, and one page of the docs says so."""
    named = (
        PLUGIN / "tasks" / "network.py",
        ROOT / "tests" / "plugin" / "test_setup_page.py",
        ROOT / "docs" / "setup.md",
    )
    return file.is_relative_to(PLUGIN / "engine" / "setup") or file in named


def test_no_hosts_and_no_workplace_in_the_project() -> None:
    """Packages come from where the user's pip looks; nothing names the machine that this was written on."""
    hosts = [
        "pypi" + ".org",
        "python" + "hosted",
        "download.py" + "torch",
        "ana" + "conda.org",
        "conda" + "-forge",
    ]
    here = ["/wo" + "rk/", "/opt/wh" + "eels", "/opt/py" + "pi"]
    wrong = []
    for file in project_files():
        if file.suffix in (".png", ".tif", ".gpkg", ".onnx", ".npz", ".qgz", ".jpg"):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        mentioned = [word for word in (*(() if may_name_hosts(file) else hosts), *here) if word in text]
        if "../sha" + "red" in text and not file.is_relative_to(ROOT / "tests" / "real"):
            mentioned.append("the workplace's data")
        wrong += [f"{place(file)} mentions {word}" for word in mentioned]
    assert wrong == []


def test_metadata_makes_the_plugin_visible_in_qgis_3_40_to_4() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    general = parser["general"]
    assert general["qgisMinimumVersion"] == "3.40" and general["qgisMaximumVersion"] == "4.99"
    assert general["hasProcessingProvider"] == "yes"
    version = re.search(r'__version__ = "([^"]+)"', (ENGINE / "__init__.py").read_text(encoding="utf-8"))
    assert version is not None and version.group(1) == general["version"]


def test_licence_and_pins() -> None:
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for file in (ROOT / "training" / "requirements").glob("*.txt"):
        lines = [
            line
            for line in file.read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        assert [line for line in lines if "==" not in line] == [], file.name
