"""The lists of wheels that an environment is made from: one wheel a package, with its hash and its size.

`training/requirements/wheels/<platform>-<part>.txt` holds one line a wheel, in a form that pip and uv read:
`name==version --hash=sha256:…  # <bytes> <file>`. `scripts/dev/wheel_lists.py` makes and checks them. Parts are
`torch-<build>` (from the build's own index), and from the user's default index `libraries-<build>` (what that build
needs besides), `runtime-<package>` and `base`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...contract import GeoSegError
from ...paths import training_dir
from .facts import Machine
from .torch_builds import Build

PYTHON = (3, 12)
"""The Python that the lists are for."""
LINE = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)"
                  r"(?: --hash=sha256:(?P<sha256>[0-9a-f]{64}))?"
                  r"(?:  # (?P<bytes>\d+) (?P<file>\S+\.whl))?")  # fmt: skip
HEADER = re.compile(r"# (?P<platform>\S+) (?P<part>\S+): (?P<count>\d+) wheels, (?P<bytes>\d+) bytes")
TOOL_LINE = re.compile(r"# (?P<platform>\S+) (?P<bytes>\d+) (?P<file>\S+\.whl)")
PLATFORMS = ("linux-x86_64", "linux-arm64", "windows-x86_64", "macos-arm64")


@dataclass(frozen=True)
class Wheel:
    """One wheel: package, version, sha256, size in bytes and file name; empty or 0 where it is not known."""

    name: str
    version: str
    sha256: str
    bytes: int
    file: str


@dataclass(frozen=True)
class WheelList:
    """A list of wheels.

    Attributes:
        path: of the file, for `-r`.
        platform: e.g. `windows-x86_64`.
        part: e.g. `torch-cu130`.
        wheels: in the order of the file.
    """

    path: Path
    platform: str
    part: str
    wheels: tuple[Wheel, ...]

    @property
    def bytes(self) -> int:
        """Size of all wheels."""
        return sum(wheel.bytes for wheel in self.wheels)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Packages whose hash is not known: such a list cannot be installed with `--require-hashes`."""
        return tuple(wheel.name for wheel in self.wheels if not wheel.sha256)


@dataclass(frozen=True)
class WheelLists:
    """The lists of one environment.

    Attributes:
        torch: PyTorch, from its build's index.
        others: from the user's default index, in the order in which they are installed.
    """

    torch: WheelList
    others: tuple[WheelList, ...]

    @property
    def all(self) -> tuple[WheelList, ...]:
        """All lists, PyTorch first."""
        return (self.torch, *self.others)

    @property
    def bytes(self) -> int:
        """Size of all wheels."""
        return sum(item.bytes for item in self.all)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Packages whose hash is not known."""
        return tuple(name for item in self.all for name in item.unchecked)


def wheels_dir() -> Path:
    """The folder of the lists; it need not exist."""
    return training_dir() / "requirements" / "wheels"


def platform_of(machine: Machine) -> str:
    """Name of a machine's platform in the lists, e.g. `linux-x86_64`; there may be no list for it."""
    return f"{machine.system}-{machine.processor}"


def lists_for(
    platform: str, build: Build, python: tuple[int, int] = PYTHON, folder: Path | None = None
) -> WheelLists | None:
    """Return the lists for a build, or None if none fit: then packages are resolved by `constraints.txt`.

    Args:
        platform: as `platform_of` names it.
        build: which PyTorch.
        python: version of the environment's interpreter.
        folder: of the lists; None is that of the plugin.

    Raises:
        GeoSegError: `install_lists` if a list is damaged.
    """
    folder = folder or wheels_dir()
    runtime = re.split("[=<>]", build.onnxruntime)[0]
    parts = [f"torch-{build.key}", f"libraries-{build.key}", f"runtime-{runtime}", "base"]
    if not needs_libraries(platform, build.key):
        parts.remove(f"libraries-{build.key}")
    files = [folder / f"{platform}-{part}.txt" for part in parts]
    if python != PYTHON or not all(file.is_file() for file in files):
        return None
    torch, *others = (read_list(file) for file in files)
    return WheelLists(torch, tuple(others))


def needs_libraries(platform: str, key: str) -> bool:
    """Whether a build needs wheels besides PyTorch's: on Linux those for NVIDIA do, on Windows all is inside."""
    return (platform.startswith("linux") and key.startswith("cu")) or key == "xpu"


def read_list(file: Path) -> WheelList:
    """Read a list.

    Args:
        file: of a list.

    Raises:
        GeoSegError: `install_lists` if it cannot be read, a line has another form, or the sum in its first line
            is wrong.
    """
    try:
        first, *lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    header = HEADER.match(first)
    if header is None:
        raise _damaged(file, f"its first line is {first!r}")
    wheels = []
    for number, line in enumerate(lines, start=2):
        found = LINE.fullmatch(line)
        if found:
            wheels.append(
                Wheel(
                    found["name"],
                    found["version"],
                    found["sha256"] or "",
                    int(found["bytes"] or 0),
                    found["file"] or "",
                )
            )
        elif line and not line.startswith("#"):
            raise _damaged(file, f"line {number} is {line!r}")
    found_list = WheelList(file, header["platform"], header["part"], tuple(wheels))
    if (len(wheels), found_list.bytes) != (int(header["count"]), int(header["bytes"])):
        raise _damaged(file, f"it holds {len(wheels)} wheels of {found_list.bytes} bytes, its first line states"
                       f" {header['count']} of {header['bytes']}")  # fmt: skip
    return found_list


def tool(name: str, platform: str, folder: Path | None = None) -> Wheel | None:
    """Return the wheel of a tool (`uv` or `pip`) for a platform, or None if there is none.

    Args:
        name: of the tool.
        platform: as `platform_of` names it.
        folder: of the lists; None is that of the plugin.

    Raises:
        GeoSegError: `install_lists` if its file is damaged.
    """
    file = (folder or wheels_dir()) / f"{name}.txt"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    version = re.search(rf"^{name}==(\S+)", text, re.MULTILINE)
    hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", text)
    named = [found for line in text.splitlines() if (found := TOOL_LINE.fullmatch(line))]
    if version is None or not hashes or len(hashes) != len(named):
        raise _damaged(file, f"it names {len(named)} files and {len(hashes)} hashes")
    for found, sha256 in zip(named, hashes, strict=True):
        if found["platform"] in (platform, "any"):
            return Wheel(name, version[1], sha256, int(found["bytes"]), found["file"])
    return None


def _damaged(file: Path, what: str) -> GeoSegError:
    return GeoSegError(
        "install_lists", f"The list of wheels {file} is damaged: {what}.", "Install GeoSeg again."
    )
