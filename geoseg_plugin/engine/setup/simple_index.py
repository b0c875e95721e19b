"""Find and fetch single files of a package index: uv itself, pip, and the wheels of an offline kit."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from ...contract import GeoSegError, parse_json
from .plan import Fetch
from .records import normalized
from .redaction import redacted
from .wheel_lists import Wheel

DEFAULT_INDEX = "https://pypi.org/simple"
_ANCHOR = re.compile(r"<a\s[^>]*href=[\"']([^\"']+)[\"'][^>]*>([^<]*)</a>", re.IGNORECASE)


@dataclass(frozen=True)
class IndexedFile:
    """A file in a package index: its name, address, and sha256 where the index states it."""

    name: str
    address: str
    sha256: str = ""


def read_page(text: str, address: str) -> list[IndexedFile]:
    """Return the files that a page of an index names, in HTML (PEP 503) or JSON (PEP 691).

    Args:
        text: of the page.
        address: of the page; relative links start there.
    """
    if text.lstrip().startswith("{"):
        data = parse_json(text, address)
        files = data.get("files") if isinstance(data, dict) else None
        return [
            IndexedFile(str(item["filename"]), urljoin(address, str(item["url"])),
                        str((item.get("hashes") or {}).get("sha256", "")))
            for item in files or [] if isinstance(item, dict) and "filename" in item and "url" in item
        ]  # fmt: skip
    found = []
    for target, label in _ANCHOR.findall(text):
        whole = urljoin(address, html.unescape(target))
        plain, _, fragment = whole.partition("#")
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        found.append(
            IndexedFile(html.unescape(label).strip() or Path(urlsplit(plain).path).name, plain, sha256)
        )
    return found


class Source:
    """A package index from which single files are fetched.

    Args:
        index: address of the index; an address of a folder (file://) will do too.
        fetch: fetches one file.
        folder: for pages.
        is_cancelled: whether to stop.
    """

    def __init__(self, index: str, fetch: Fetch, folder: Path, is_cancelled: Callable[[], bool]) -> None:
        self._index = index.rstrip("/")
        self._fetch = fetch
        self._folder = folder
        self._is_cancelled = is_cancelled
        self._pages: dict[str, list[IndexedFile]] = {}

    def files(self, package: str) -> list[IndexedFile]:
        """Return all files of a package."""
        package = normalized(package)
        if package not in self._pages:
            address = f"{self._index}/{package}/"
            file = self._folder / f"{package}.page"
            self._folder.mkdir(parents=True, exist_ok=True)
            self._fetch(address, file, self._is_cancelled)
            self._pages[package] = read_page(file.read_text(encoding="utf-8", errors="replace"), address)
            file.unlink(missing_ok=True)
        return self._pages[package]

    def get(self, wheel: Wheel, folder: Path) -> Path:
        """Fetch a wheel of a list and compare it with its hash. A file that is there already is kept.

        Args:
            wheel: which file; without a hash in the list, the index has to state one.
            folder: where it is written.

        Raises:
            GeoSegError: `install_no_package`, `install_hash`, or as the network failed.
        """
        target = folder / wheel.file
        if wheel.sha256 and target.is_file() and sha256_of(target) == wheel.sha256:
            return target
        for file in self.files(wheel.name):
            if Path(unquote(file.name)).name == wheel.file:
                return get_file(file, wheel.sha256 or file.sha256, folder, self._fetch, self._is_cancelled)
        raise GeoSegError(
            "install_no_package",
            f"{redacted(self._index)} does not have {wheel.file}.",
            "If this is a copy of the package index, bring it up to date; otherwise set up again later.",
        )


def get_file(
    file: IndexedFile, sha256: str, folder: Path, fetch: Fetch, is_cancelled: Callable[[], bool]
) -> Path:
    """Fetch a file under a temporary name, compare its hash, and rename it. A whole one that is there is kept.

    Raises:
        GeoSegError: `install_hash` if it is another file; else as `fetch`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / Path(unquote(file.name)).name
    if target.is_file() and sha256 and sha256_of(target) == sha256:
        return target
    partial = target.with_name(target.name + ".part")
    fetch(file.address, partial, is_cancelled)
    if sha256 and sha256_of(partial) != sha256:
        partial.unlink()
        raise GeoSegError(
            "install_hash",
            f"A downloaded file differs from the one that was tested: {file.name}.",
            "A proxy, a mirror or tampering changes files: use another network, or install from an offline kit."
            " Nothing of it was installed.",
        )
    partial.replace(target)
    return target


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def local_path(address: str) -> Path | None:
    """Return the path of a `file:` address or of a plain path; None for the network."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(url2pathname(unquote(parts.path)))
    return None if "://" in address else Path(address)
