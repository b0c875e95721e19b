"""Get the program uv from an offline kit or the package index: checked by a pinned hash, and tried before its use."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from ...contract import Cancelled, GeoSegError
from ..liveness import answer
from .access import Access
from .fetching import fetcher
from .plan import Fetch, Network
from .simple_index import DEFAULT_INDEX, Source, sha256_of
from .wheel_lists import Wheel, tool

ANSWER_S = 30
"""The antivirus looks at a new program first."""


def program_in(folder: Path, version: str) -> Path:
    """Return where uv of a version lies below its folder, whether or not it is there."""
    return folder / version / ("uv.exe" if sys.platform == "win32" else "uv")


class UvSource:
    """Where uv comes from.

    Args:
        folder: where it is kept.
        access: the user's index, proxy and certificates.
        network: fetches the wheel.
        is_cancelled: whether to stop.
        platform: name of the machine's platform in the lists of wheels.
        kit: folder of wheels that replaces the network.
    """

    def __init__(
        self,
        folder: Path,
        access: Access,
        network: Network,
        is_cancelled: Callable[[], bool],
        platform: str,
        kit: Path | None = None,
    ) -> None:
        self._platform = platform
        self._folder = folder
        self._access = access
        self._network = network
        self._is_cancelled = is_cancelled
        self._kit = kit

    def get(self) -> Path:
        """Return the program; it is fetched if it is not there, and it has answered once.

        Raises:
            GeoSegError: why it cannot be had or may not run; Cancelled.
        """
        wheel = tool("uv", self._platform)
        if wheel is None:
            raise GeoSegError("install_no_package", f"There is no uv for {self._platform}.", "Use pip.")
        program = program_in(self._folder, wheel.version)
        if not program.is_file():
            file = self._fetched(wheel)
            unpack(file, program)
            if self._kit is None:
                file.unlink()
        why = refusal(program)
        if why:
            shutil.rmtree(program.parent, ignore_errors=True)
            raise GeoSegError("install_not_runnable", f"{program} {why}.", "Use pip.")
        return program

    def _fetched(self, wheel: Wheel) -> Path:
        if self._kit is None:
            index = self._access.settings.get("index-url") or DEFAULT_INDEX
            return Source(index, self._fetch(), self._folder, self._is_cancelled).get(wheel, self._folder)
        file = self._kit / wheel.file
        if not file.is_file() or (wheel.sha256 and sha256_of(file) != wheel.sha256):
            raise GeoSegError("install_no_package", f"{self._kit} does not hold {wheel.file}.", "Use pip.")
        return file

    def _fetch(self) -> Fetch:
        return self._network.fetch or fetcher(self._access.uv())


def unpack(wheel: Path, program: Path) -> None:
    """Write the program of a wheel of uv under a temporary name, then rename it.

    Args:
        wheel: whose hash was compared.
        program: where it is written.

    Raises:
        GeoSegError: `install_no_package` if the wheel holds none.
    """
    program.parent.mkdir(parents=True, exist_ok=True)
    partial = program.with_name(program.name + ".part")
    with zipfile.ZipFile(wheel) as archive:
        inside = next(
            (name for name in archive.namelist() if name.endswith(f"/scripts/{program.name}")), None
        )
        if inside is None:
            raise GeoSegError("install_no_package", f"{wheel.name} holds no program uv.", "Use pip.")
        with archive.open(inside) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)
    partial.chmod(0o755)  # nosec B103  # a program of the user
    partial.replace(program)


def refusal(program: Path) -> str:
    """Return why a program does not run; empty if it states its version."""
    try:
        done = answer([str(program), "--version"], None, ANSWER_S)
    except OSError as error:
        return f"may not run here ({error.strerror or error})"
    except subprocess.TimeoutExpired:
        return f"does not answer within {ANSWER_S} s"
    return (
        "" if done.returncode == 0 and "uv" in done.stdout else f"does not run (exit code {done.returncode})"
    )


def uv_or_reason(source: UvSource, on_line: Callable[[str], None]) -> Path | None:
    """Return uv, or None with a line in the log that says why pip is used instead.

    Args:
        source: where it comes from.
        on_line: called with the reason.

    Raises:
        Cancelled: if the user stopped.
    """
    try:
        return source.get()
    except Cancelled:
        raise
    except (GeoSegError, OSError, zipfile.BadZipFile) as error:
        on_line(f"uv is not used, pip is: {error}")
        return None
