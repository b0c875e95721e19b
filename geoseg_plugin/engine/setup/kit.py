"""The offline kit: a folder with all that a set-up downloads, for a computer without a network."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...contract import Cancelled, GeoSegError, kept_json, parse_json, write_json
from ..liveness import answer
from .access import Access
from .builds import BUILDS, OFFERED, Build, address, propose
from .facts import Machine
from .failures import unreachable
from .fetching import fetcher
from .machine import inspect_machine
from .persistence import Persistence
from .plan import Fetch, Listener, Network
from .simple_index import DEFAULT_INDEX, IndexedFile, Source, get_file
from .space import MB, check_space
from .uv import UvSource, uv_or_reason
from .wheel_lists import PYTHON, Wheel, WheelList, lists_for, platform_of, tool

KIT_FILE = "geoseg-kit.json"
VERSION = 1
TITLES = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
PYTHON_TAGS = {
    "linux-x86_64": ("linux", "x86_64", "gnu"),
    "linux-arm64": ("linux", "aarch64", "gnu"),
    "windows-x86_64": ("windows", "x86_64", "none"),
    "macos-arm64": ("macos", "aarch64", "none"),
}
"""Platform -> operating system, processor and C library as uv names them."""


@dataclass(frozen=True)
class KitPlatform:
    """A platform with a build that a kit can be made for.

    Attributes:
        key: `windows-x86_64-cu130`.
        title: for people.
        download_mb: size of the kit without Python, in MB of 10^6 bytes.
    """

    key: str
    title: str
    download_mb: int


@dataclass(frozen=True)
class Kit:
    """A kit that was read.

    Attributes:
        folder: of the kit.
        platform: `windows-x86_64`.
        build: key of the build.
        python: whether it brings a Python.
    """

    folder: Path
    platform: str
    build: str
    python: bool = False

    @property
    def wheels(self) -> Path:
        """Folder of all wheels, uv and pip among them."""
        return self.folder / "wheels"

    @property
    def lists(self) -> Path:
        """Folder of the lists of these wheels."""
        return self.folder / "lists"

    @property
    def pythons(self) -> Path | None:
        """Folder of the Python, laid out as uv looks for it; None if the kit has none."""
        folder = self.folder / "python"
        return folder if folder.is_dir() else None

    def check(self, platform: str) -> None:
        """Compare the kit with the machine, and its lists with its files.

        Raises:
            GeoSegError: `kit_platform`, `kit_damaged`.
        """
        if platform != self.platform:
            raise GeoSegError("kit_platform", f"{self.folder} is for {self.platform}; this computer is {platform}.",
                              "Save a kit for this computer's platform.")  # fmt: skip
        found = lists_for(self.platform, BUILDS[self.build], PYTHON, self.lists)
        if found is None:
            raise _damaged(self.folder, "its lists are missing")
        for wheel in (wheel for item in found.all for wheel in item.wheels):
            file = self.wheels / wheel.file
            if not file.is_file() or (wheel.bytes and file.stat().st_size != wheel.bytes):
                raise _damaged(self.folder, f"{wheel.file} is missing or incomplete")


def read_kit(folder: Path) -> Kit:
    """Return what a folder is a kit for.

    Raises:
        GeoSegError: `kit_damaged` if it is none, or was made by a newer GeoSeg.
    """
    folder = Path(folder).expanduser().absolute()
    data = kept_json(folder / KIT_FILE)
    if not isinstance(data, dict):
        raise GeoSegError("kit_damaged", f"{folder} is no offline kit: {KIT_FILE} is missing or damaged.",
                          "Choose the folder that \"Save for another computer\" wrote.")  # fmt: skip
    if data.get("version") != VERSION or str(data.get("build")) not in BUILDS:
        raise _damaged(folder, f"it has version {data.get('version')} and build {data.get('build')}")
    return Kit(folder, str(data.get("platform")), str(data["build"]), bool(data.get("python")))


def kit_platforms() -> list[KitPlatform]:
    """Return what a kit can be made for: every platform and build with lists of tested wheels."""
    found = []
    for (system, processor), keys in OFFERED.items():
        platform = f"{system}-{processor}"
        for key in keys:
            lists = lists_for(platform, _build(platform, key), PYTHON)
            if lists is not None and all(wheel.file for item in lists.all for wheel in item.wheels):
                title = f"{TITLES[system]} ({processor}), {BUILDS[key].title}"
                found.append(KitPlatform(f"{platform}-{key}", title, round(lists.bytes / MB)))
    return found


def save_kit(
    folder: Path, platform: str, listener: Listener | None = None, network: Network | None = None
) -> Path:
    """Download all that a set-up of a platform needs. Files that are there already are kept.

    Args:
        folder: where the kit is written.
        platform: key of `kit_platforms`, e.g. `windows-x86_64-cu130`.
        listener: is kept informed; may stop it.
        network: how the network is reached.

    Returns:
        The folder.

    Raises:
        GeoSegError: `kit_platform`, `disk_full`, or as the network failed; Cancelled.
    """
    chosen = next((item for item in kit_platforms() if item.key == platform), None)
    if chosen is None:
        keys = ", ".join(item.key for item in kit_platforms()) or "none"
        raise GeoSegError(
            "kit_platform", f"There is no list of tested wheels for {platform}.", f"Choose one of: {keys}."
        )
    folder = Path(folder).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    check_space(folder, chosen.download_mb * 1.05 + 100)
    return _Saving(folder, platform, listener or Listener(), network or Network()).run()


class _Saving:
    """The making of one kit."""

    def __init__(self, folder: Path, key: str, listener: Listener, network: Network) -> None:
        self._folder = folder
        self._listener = listener
        self._network = network
        self._platform, _, self._key = key.rpartition("-")
        self._access = Access(network, folder / "download", listener.on_line)
        self._persistence = Persistence(self._access, listener.on_line, listener.is_cancelled)
        self._done = 0

    def run(self) -> Path:
        """Fetch lists, wheels, tools and Python; the file that makes the folder a kit is written last."""
        build = _build(self._platform, self._key)
        lists = lists_for(self._platform, build, PYTHON)
        if lists is None:
            raise GeoSegError(
                "kit_platform", f"There is no list for {self._platform}.", "Choose another platform."
            )
        (self._folder / KIT_FILE).unlink(missing_ok=True)
        (self._folder / "lists").mkdir(exist_ok=True)
        own = self._access.settings.get("index-url") or DEFAULT_INDEX
        for item in lists.all:
            shutil.copyfile(item.path, self._folder / "lists" / item.path.name)
            first = address(build) if item is lists.torch else ""
            self._wheels(item, tuple(index for index in (first, own) if index), lists.bytes)
        tools = (tool("uv", self._platform), tool("pip", "any"))
        for wheel in (wheel for wheel in tools if wheel is not None):
            self._wheel(wheel, (own,))
        has_python = self._python()
        facts = {"version": VERSION, "platform": self._platform, "build": self._key, "torch": build.torch,
                 "python": has_python, "made": time.strftime("%Y-%m-%d")}  # fmt: skip
        shutil.rmtree(self._folder / "download", ignore_errors=True)
        write_json(self._folder / KIT_FILE, facts)
        self._listener.on_progress("Ready", 1.0)
        return self._folder

    def _fetch(self) -> Fetch:
        return self._network.fetch or fetcher(self._access.uv())

    def _wheels(self, wheels: WheelList, indexes: tuple[str, ...], total: int) -> None:
        for wheel in wheels.wheels:
            if self._listener.is_cancelled():
                raise Cancelled
            self._listener.on_progress(f"Download {wheel.name}", min(0.97, 0.97 * self._done / max(1, total)))
            self._wheel(wheel, indexes)
            self._done += wheel.bytes

    def _wheel(self, wheel: Wheel, indexes: tuple[str, ...]) -> None:
        """Fetch a wheel from the first index that has it."""
        self._listener.on_line(f"{wheel.file} ({wheel.bytes / MB:.1f} MB)")
        for index in indexes:
            try:
                self._persistence.run(lambda index=index: self._from(index, wheel))  # type: ignore[misc]
            except GeoSegError as error:
                if index == indexes[-1] or not unreachable(error):
                    raise
            else:
                return

    def _from(self, index: str, wheel: Wheel) -> Path:
        source = Source(index, self._fetch(), self._folder / "download", self._listener.is_cancelled)
        return source.get(wheel, self._folder / "wheels")

    def _python(self) -> bool:
        """Fetch the Python that uv would bring on that platform. Returns whether that worked."""
        self._listener.on_progress("Download Python", 0.98)
        here = platform_of(inspect_machine())
        source = UvSource(
            self._folder / "download", self._access, self._network, self._listener.is_cancelled, here
        )
        program = uv_or_reason(source, self._listener.on_line)
        try:
            if program is None:
                raise GeoSegError("no_python", "uv cannot be used.")
            archive = python_archive(program, self._platform, self._access.uv())
            release = archive.address.split("/")[-2]
            get_file(
                archive,
                archive.sha256,
                self._folder / "python" / release,
                self._fetch(),
                self._listener.is_cancelled,
            )
        except Cancelled:
            raise
        except GeoSegError as error:
            self._listener.on_line(
                f"The kit has no Python ({error.message}): Python 3.12 must be on the other computer."
            )
            return False
        return True


def python_archive(program: Path, platform: str, environ: dict[str, str]) -> IndexedFile:
    """Return the archive of the Python that uv would bring on a platform.

    Args:
        program: uv.
        platform: e.g. `windows-x86_64`.
        environ: variables of uv.

    Raises:
        GeoSegError: `no_python` if uv does not name one.
    """
    version = ".".join(str(part) for part in PYTHON)
    options = [
        "python",
        "list",
        version,
        "--all-platforms",
        "--all-arches",
        "--only-downloads",
        "--output-format",
        "json",
    ]
    done = answer([str(program), *options], {**environ, "UV_PYTHON_DOWNLOADS": "manual"}, 60)
    wanted = PYTHON_TAGS[platform]
    for item in parse_json(done.stdout, "uv's list of Pythons") if done.returncode == 0 else []:
        tags = (str(item.get("os")), str(item.get("arch")), str(item.get("libc")))
        kind = (item.get("implementation"), item.get("variant"))
        if tags == wanted and item.get("url") and kind == ("cpython", "default"):
            url = str(item["url"])
            return IndexedFile(url.rpartition("/")[2].replace("%2B", "+"), url)
    raise GeoSegError("no_python", f"uv names no Python {version} for {platform}.")


def _build(platform: str, key: str) -> Build:
    """The build as it is on a platform."""
    system, _, processor = platform.partition("-")
    machine = Machine(cast(Any, system), processor, (99,), (9, 9) if system == "linux" else None)
    return propose(machine, key).build or BUILDS[key]


def _damaged(folder: Path, what: str) -> GeoSegError:
    return GeoSegError("kit_damaged", f"The offline kit {folder} cannot be used: {what}.", "Save it again.")
