"""Check the zip as the QGIS plugin repository does: what would be refused or blocked there is found here.

Builds the zip, unpacks it and looks at its content with Bandit, detect-secrets, Flake8, checks of structure and
metadata, and a check for PyQt 6. The rules are those that the site had enabled in July 2026. The site also asks each
address for an answer, which needs a network and is not done here.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import enum
import importlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))

import package

LARGEST_BYTES = 25_000_000
REQUIRED_KEYS = (
    "name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker", "repository",
    "homepage", "changelog",
)  # fmt: skip
ADDRESS_KEYS = ("homepage", "repository", "tracker")
REQUIRED_FILES = ("__init__.py", package.METADATA, "LICENSE")
FORBIDDEN_PARTS = {"__MACOSX", "__pycache__", ".git", ".."}
SUSPICIOUS = (".exe", ".dll", ".so", ".dylib", ".bat", ".cmd", ".sh", ".ps1", ".pyc")

BANDIT = (
    "B101", "B102", "B103", "B104", "B105", "B106", "B107", "B108", "B110", "B112", "B113", "B201", "B202",
    "B301", "B302", "B303", "B304", "B305", "B306", "B307", "B308", "B310", "B311", "B312", "B313", "B314",
    "B315", "B316", "B317", "B318", "B319", "B321", "B323", "B324", "B401", "B402", "B403", "B405", "B406",
    "B407", "B408", "B409", "B412", "B413", "B501", "B502", "B503", "B504", "B505", "B506", "B507", "B508",
    "B509", "B601", "B602", "B603", "B604", "B605", "B606", "B607", "B608", "B609", "B610", "B611", "B612",
    "B613", "B614", "B615", "B701", "B702", "B703", "B704",
)  # fmt: skip
"""The site enables B111 and B320 too; Bandit has dropped them."""
FLAKE8 = (
    "E101", "E711", "E712", "E713", "E714", "E721", "E722", "E731", "E741", "E742", "E743", "E901", "E902",
    "E999", "W605", "F402", "F403", "F404", "F405", "F811", "F821", "F822", "F823", "F831", "F901", "C901",
)  # fmt: skip
UNUSED_SECRETS = "IPPublicDetector"

SILENCED_UNTIL_RELEASE = {
    "placeholder": "who publishes the plugin gives the address (make package ADDRESS=https://…) and the e-mail",
    "unnumbered": "the newest section of CHANGELOG.md gets its number with the release",
}
"""Rule and reason; `--release` makes findings of them."""
REMARK = re.compile(r"#\s*(nosec\b|noqa\b|pragma:\s*allowlist)")
WITH_REASON = re.compile(r"#\s*(nosec|noqa:) [A-Z]+\d+(, [A-Z]+\d+)*  (# |\()\S.+")

REMOVED_IN_QT6 = {
    "exec_": "is `exec` in Qt 6",
    "qApp": "is `QApplication.instance()` in Qt 6",
    "QRegExp": "is `QRegularExpression` in Qt 6",
    "QDesktopWidget": "is not in Qt 6",
    "resources_rc": "compiled resources are not in Qt 6",
}


@dataclass(frozen=True)
class Finding:
    """One complaint: the tool's or our own name of the rule, the place, and what is wrong."""

    rule: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} {self.place}: {self.text}"


def structure(archive: Path) -> Iterator[Finding]:
    """Check size, names and files of a zip.

    Args:
        archive: path of the zip.

    Yields:
        What the repository would refuse or remark on.
    """
    if archive.stat().st_size > LARGEST_BYTES:
        yield Finding("size", archive.name, f"larger than {LARGEST_BYTES} bytes")
    with zipfile.ZipFile(archive) as content:
        names = [item.filename for item in content.infolist()]
        folders = sorted({PurePosixPath(name).parts[0] for name in names})
        if len(folders) != 1 or not folders[0].isidentifier():
            yield Finding("folder", archive.name, f"must hold one folder named as a package, not {folders}")
        for wanted in REQUIRED_FILES:
            if not any(f"{folder}/{wanted}" in names for folder in folders):
                yield Finding("missing", archive.name, f"{wanted} is not there")
        for item in content.infolist():
            for rule, text in of_file(item, content.read(item)):
                yield Finding(rule, item.filename, text)


def of_file(item: zipfile.ZipInfo, content: bytes) -> Iterator[tuple[str, str]]:
    """Rule and complaint about the name, the permissions or the content of one file of a zip."""
    name = PurePosixPath(item.filename)
    if FORBIDDEN_PARTS & set(name.parts) or name.is_absolute():
        yield "name", "is not allowed in a plugin"
    elif name.name.startswith("."):
        yield "hidden", "is a hidden file"
    if name.suffix.lower() in SUSPICIOUS:
        yield "suspicious", f"a file of the type {name.suffix} is not needed in a plugin"
    if item.external_attr >> 16 & 0o111 and not item.is_dir():
        yield "executable", "may be executed"
    if b"\0" in content:
        yield "binary", "cannot be reviewed"


def metadata(text: str, files: set[str]) -> Iterator[Finding]:
    """Check metadata.txt as QGIS and the repository read it.

    Args:
        text: the whole file.
        files: names of the plugin's files, relative to its folder.

    Yields:
        What is missing or of a wrong form.
    """
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
        values = dict(parser["general"])
    except (configparser.Error, KeyError) as error:
        yield Finding("metadata", package.METADATA, f"cannot be read: {error}")
        return
    version, icon = values.get("version", ""), values.get("icon", "")
    for key in REQUIRED_KEYS:
        if not values.get(key.lower(), "").strip():
            yield Finding("metadata", key, "is missing")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield Finding("metadata", "version", f"'{version}' is not three numbers")
    if "supportsqt6" in values:
        yield Finding("metadata", "supportsQt6", "is no longer read by QGIS")
    if icon not in files:
        yield Finding("metadata", "icon", f"'{icon}' is not in the zip")
    newest = values.get("changelog", "").strip().partition("\n")[0]
    if newest != version:
        yield Finding("unnumbered", "changelog", f"begins with '{newest}', not with the version {version}")
    yield from addresses(values)


def addresses(values: dict[str, str]) -> Iterator[Finding]:
    """Check the form of the addresses in metadata.txt; that they answer is not looked at."""
    for key in ADDRESS_KEYS:
        parts = urlsplit(values.get(key, ""))
        if parts.scheme != "https" or not parts.hostname:
            yield Finding("metadata", key, f"'{values.get(key)}' is not an address on the web")
    for key in (*ADDRESS_KEYS, "email"):
        if re.search(r"[/@]example\.(org|com|net)\b", values.get(key, "")):
            yield Finding("placeholder", key, f"'{values[key]}' leads nowhere")


def remarks(folder: Path) -> Iterator[tuple[str, str | None]]:
    """List the comments that silence a tool.

    Args:
        folder: of the unpacked plugin.

    Yields:
        Place, and the comment if it names its rule and a reason, else None.
    """
    for file in sorted(folder.rglob("*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if found := REMARK.search(line):
                comment = line[found.start() :]
                place = f"{file.relative_to(folder).as_posix()}:{number}"
                yield place, comment if WITH_REASON.fullmatch(comment) else None


def bandit(folder: Path) -> Iterator[Finding]:
    """Run Bandit with the repository's rules on a folder."""
    found = json.loads(
        output_of("bandit", "-r", ".", "-q", "-f", "json", "-t", ",".join(BANDIT), folder=folder)
    )
    for item in found["errors"]:
        yield Finding("bandit", item["filename"], item["reason"])
    for item in found["results"]:
        yield Finding(item["test_id"], f"{item['filename']}:{item['line_number']}", item["issue_text"])


def secrets(folder: Path) -> Iterator[Finding]:
    """Run detect-secrets with the repository's detectors on a folder; nothing is asked of the network."""
    options = (
        "--all-files",
        "--no-verify",
        "--exclude-files",
        r"metadata\.txt",
        "--disable-plugin",
        UNUSED_SECRETS,
    )
    found = json.loads(output_of("detect_secrets", "scan", *options, ".", folder=folder))
    for items in found["results"].values():
        for item in items:
            yield Finding(item["type"], f"{item['filename']}:{item['line_number']}", "looks like a secret")


def flake8(folder: Path) -> Iterator[Finding]:
    """Run Flake8 with the repository's codes on a folder."""
    options = ("--isolated", "--max-line-length=120", "--format=%(code)s\t%(path)s:%(row)d\t%(text)s")
    for line in output_of("flake8", *options, "--select", ",".join(FLAKE8), ".", folder=folder).splitlines():
        yield Finding(*line.split("\t"))


def output_of(tool: str, *arguments: str, folder: Path) -> str:
    """Run a tool of this environment in a folder and return what it prints.

    Raises:
        RuntimeError: if it fails for another reason than having found something.
    """
    done = subprocess.run([sys.executable, "-m", tool, *arguments], cwd=folder, capture_output=True, encoding="utf-8",
                          check=False)  # fmt: skip
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout):
        raise RuntimeError(f"{tool} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def pyqt6(folder: Path) -> Iterator[Finding]:
    """Look for what works with PyQt 5 only, as the migration script of QGIS does: names, enums, calls.

    The enums are those of the QGIS that runs this.
    """
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        seen = imported(tree)
        for node in ast.walk(tree):
            for text in (*of_names(node), *of_enums(node, seen), *of_calls(node)):
                yield Finding(
                    "PyQt 6", f"{file.relative_to(folder).as_posix()}:{getattr(node, 'lineno', 1)}", text
                )


def imported(tree: ast.Module) -> dict[str, Any]:
    """What a file imports of Qt and QGIS by the names that it uses."""
    seen: dict[str, Any] = {}
    for node in ast.walk(tree):
        module = node.module or "" if isinstance(node, ast.ImportFrom) and not node.level else ""
        if module.startswith(("qgis.PyQt", "qgis.core", "qgis.gui", "qgis.analysis")):
            loaded = importlib.import_module(module)
            for alias in getattr(node, "names", ()):
                seen[alias.asname or alias.name] = getattr(loaded, alias.name, None)
    return seen


def of_names(node: ast.AST) -> Iterator[str]:
    """Complaints about imports and names that Qt 6 has not."""
    modules: list[str] = []
    names: list[str] = []
    if isinstance(node, ast.ImportFrom):
        modules, names = [node.module or ""], [alias.name for alias in node.names]
    elif isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.Attribute):
        names = [node.attr]
    elif isinstance(node, ast.FunctionDef):
        names = [node.name]
    elif isinstance(node, ast.Name):
        names = [node.id]
    for module in modules:
        if module.split(".")[0] in ("PyQt5", "PyQt6") or module == "qgis.PyQt.Qt":
            yield f"{module} is imported: take the modules of qgis.PyQt"
    yield from (f"{name} {REMOVED_IN_QT6[name]}" for name in names if name in REMOVED_IN_QT6)


def of_enums(node: ast.AST, seen: dict[str, Any]) -> Iterator[str]:
    """Complaints about members of an enum that are taken from the class around it: `Qt.AlignLeft`."""
    if not isinstance(node, ast.Attribute):
        return
    owner = resolved(node.value, seen)
    value = getattr(owner, node.attr, None)
    if isinstance(owner, type) and not is_enum(owner) and is_enum(type(value)):
        yield f"{ast.unparse(node)} is to be written with its enum, {type(value).__name__}"


def resolved(node: ast.expr, seen: dict[str, Any]) -> Any:
    """The object of Qt or QGIS that an expression of names and dots stands for; None for any other."""
    if isinstance(node, ast.Name):
        return seen.get(node.id)
    return getattr(resolved(node.value, seen), node.attr, None) if isinstance(node, ast.Attribute) else None


def is_enum(kind: type) -> bool:
    """Whether a class is an enum, of Python or of PyQt 5."""
    return issubclass(kind, enum.Enum) or type(kind).__name__ == "enumtype"


def of_calls(node: ast.AST) -> Iterator[str]:
    """Complaints about calls that Qt 6 takes otherwise."""
    if isinstance(node, ast.Subscript) and ast.unparse(node).endswith(".activated[str]"):
        yield "activated[str] is `textActivated` in Qt 6"
    if not isinstance(node, ast.Call):
        return
    name, count = ast.unparse(node.func).rpartition(".")[2], len(node.args)
    if name == "addAction" and count >= 4:
        yield "addAction with four arguments has another order in Qt 6: make the QAction first"
    if name == "QVariant" and not count:
        yield "QVariant() is NULL of qgis.core in Qt 6"
    if name == "QDateTime" and (
        count == 8 or (count == 1 and ast.unparse(node.args[0]).startswith("QDate("))
    ):
        yield "QDateTime is made of a QDate and a QTime in Qt 6"
    if name == "desktop" and not count:
        yield "QDesktopWidget is not in Qt 6"
    if re.search(r"\b(fontMetrics\(\)|QFontMetricsF?\(.*\))\.width$", ast.unparse(node.func)):
        yield "QFontMetrics.width is `horizontalAdvance` in Qt 6"


TOOLS: dict[str, Callable[[Path], Iterator[Finding]]] = {
    f"Bandit, {len(BANDIT)} rules": bandit,
    "detect-secrets": secrets,
    f"Flake8, {len(FLAKE8)} codes": flake8,
    "PyQt 6": pyqt6,
}


def scan(archive: Path) -> tuple[dict[str, list[Finding]], list[str]]:
    """Run all checks on a zip.

    Args:
        archive: path of the zip.

    Returns:
        Findings of each check, and the comments that silence one, with their places.
    """
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(archive) as content,
        ThreadPoolExecutor(2) as pool,
    ):
        content.extractall(scratch)
        running = {title: pool.submit(list, tool(Path(scratch))) for title, tool in TOOLS.items()}
        plugin = Path(scratch) / package.NAME
        files = {file.relative_to(plugin).as_posix() for file in plugin.rglob("*") if file.is_file()}
        text = (plugin / package.METADATA).read_text(encoding="utf-8")
        comments = list(remarks(plugin))
        found = {
            "structure": list(structure(archive)),
            "metadata": list(metadata(text, files)),
            "reasons": [Finding("reason", place, "a rule is silenced without its name or a reason beside it")
                        for place, comment in comments if comment is None],
            **{title: job.result() for title, job in running.items()},
        }  # fmt: skip
    return found, [f"{place} {comment}" for place, comment in comments if comment]


def main() -> int:
    """Build the zip, scan it, and say what was found; the exit code is 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, help="zip to look at; else it is built into build/")
    parser.add_argument("--address", default=package.ADDRESS, help="as for scripts/dev/package.py")
    parser.add_argument("--release", action="store_true", help="nothing may be left for the release")
    wanted = parser.parse_args()
    archive = wanted.archive or package.build(
        package.ROOT / "build" / f"{package.NAME}.zip", address=wanted.address
    )
    found, silenced = scan(archive)
    silent = {} if wanted.release else SILENCED_UNTIL_RELEASE
    count = 0
    for title, findings in found.items():
        loud = [item for item in findings if item.rule not in silent]
        silenced += [f"{item}; {silent[item.rule]}" for item in findings if item.rule in silent]
        count += len(loud)
        print(f"{title}: {len(loud) or 'no'} finding{'s' if len(loud) > 1 else ''}")
        for item in loud:
            print(f"  {item}")
    print(f"silenced, with the reason: {len(silenced)}")
    for line in silenced:
        print(f"  {line}")
    print(f"scan of {archive.name}: {'clean' if not count else f'{count} findings'}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
