"""What goes wrong in the field: each failure has its own code and sentence, and no secret is in the log."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import PYTHON
from stub_packages import real_uv
from wheel_index import Fault, WheelIndex, make_authority, make_wheel, serving

from geoseg_plugin.contract import Cancelled, GeoSegError
from geoseg_plugin.engine.setup import access, command
from geoseg_plugin.engine.setup.access import Access
from geoseg_plugin.engine.setup.command import Command
from geoseg_plugin.engine.setup.failures import explain
from geoseg_plugin.engine.setup.fetching import fetcher
from geoseg_plugin.engine.setup.persistence import Persistence
from geoseg_plugin.engine.setup.places import site_packages
from geoseg_plugin.engine.setup.plan import Network
from geoseg_plugin.engine.setup.pythons import Interpreter, find_python
from geoseg_plugin.engine.setup.records import broken_packages, clear_halves, installed
from geoseg_plugin.engine.setup.runners import PipRunner, Request, Runner, UvRunner
from geoseg_plugin.engine.setup.simple_index import Source
from geoseg_plugin.engine.setup.swap import clone
from geoseg_plugin.engine.setup.wheel_lists import Wheel

BIG = 3_000_000
TOOLS = [pytest.param("uv", marks=pytest.mark.skipif(not real_uv(), reason="uv is not here")), "pip"]
LOGIN = "anna:geh eim"
RETRYING = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by"


@pytest.mark.parametrize(("lines", "code"), [
    # uv 0.13
    ("error: Failed to fetch: `x`\n  Caused by: tunnel error: proxy authorization required", "install_proxy"),
    ("  cause: HTTP status client error (407 Proxy Authentication Required) for url (http://x/)", "install_proxy"),
    ("  Caused by: invalid peer certificate: UnknownIssuer", "install_ssl"),
    ("  Caused by: end of file before message length reached", "install_cut"),
    ("  cause: Hash mismatch for `torch==2.13.0`", "install_hash"),
    ("  Caused by: failed to lookup address information: Name or service not known", "install_network"),
    ("  Caused by: Connection refused (os error 111)", "install_network"),
    ("error: Failed to install: numpy\n  Caused by: No space left on device (os error 28)", "disk_full"),
    ("  Caused by: failed to rename: Access is denied. (os error 5)", "install_locked"),
    ("  Caused by: The process cannot access the file because it is being used by another process. (os error 32)",
     "install_locked"),
    ("  cause: Because there is no version of numpy==9 and you require numpy==9", "install_no_package"),
    ("  x No solution found when resolving dependencies:", "install_no_package"),
    # pip 23 and 26
    (f"{RETRYING} 'ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy Authentication"
     " Required'))': /x/\nERROR: Could not find a version that satisfies the requirement torch", "install_proxy"),
    (f"{RETRYING} 'ProxyError('Cannot connect to proxy.', NewConnectionError('refused'))': /x/\nERROR: Could not find a"
     " version that satisfies the requirement torch", "install_network"),
    (f"{RETRYING} 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))'\nERROR: No matching"
     " distribution found for torch", "install_ssl"),
    (f"{RETRYING} 'NewConnectionError('[Errno -2] Name or service not known')'\nERROR: No matching distribution found",
     "install_network"),
    (f"{RETRYING} 'NewConnectionError('[Errno 111] Connection refused')': /x/", "install_network"),
    ("     ━━━━━━━╸  5.2/12.0 MB 9 MB/s eta 0:00:01\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "install_cut"),
    ("     ━━━━━━━━ 12.0/12.0 MB 9 MB/s eta 0:00:00\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "install_hash"),
    ("ERROR: Connection interrupted while downloading torch", "install_cut"),
    ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "install_network"),
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk_full"),
    ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'x.dll'", "install_locked"),
    ("ERROR: Could not install packages due to an OSError: [WinError 32] The process cannot access", "install_locked"),
    ("OSError: [Errno 2] No such file\nHINT: This error might have occurred since this system does not have Windows"
     " Long Path support enabled.", "path_too_long"),
    ("OSError: [Errno 30] Read-only file system: '/x'", "not_writable"),
    ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'", "not_writable"),
    ("The virtual environment was not created successfully because ensurepip is not available.", "no_python"),
    ("ERROR: 403 Client Error: Forbidden for url: https://x/", "install_blocked"),
    ("ERROR: HTTP error 401 Client Error: Unauthorized for url", "install_login"),
    ("WARNING: The repository located at x is not a trusted or secure host and is being ignored.\nERROR: No matching"
     " distribution found for x", "install_insecure"),
    ("ERROR: Could not find a version that satisfies the requirement torch", "install_no_package"),
    ("Downloading async_timeout-407-proxy.whl (407 kB)\nsomething else", "install_failed"),
])  # fmt: skip
def test_what_the_tools_print_in_our_words(lines: str, code: str) -> None:
    error = explain(["tool"], lines.splitlines(), 1)
    assert error.code == code, error.message
    assert error.hint and ("hash" not in error.message.lower() or code == "install_hash")
    assert code == "install_no_package" or "another Python" not in error.hint or code == "no_python"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    make_wheel(folder / "default", "big", "1.0", files={"big/data.bin": os.urandom(BIG)})
    make_wheel(folder / "default", "small", "1.0")
    return folder


@pytest.fixture
def index(wheels: Path) -> Iterator[WheelIndex]:
    with serving(WheelIndex(wheels)) as served:
        yield served


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An environment for each tool."""
    folder = tmp_path_factory.mktemp("templates")
    found = {}
    for tool in ("uv", "pip"):
        if tool == "pip" or real_uv():
            runner = make_runner(tool, folder / tool, folder / "work")
            runner.make(Interpreter(PYTHON, (3, 11)))
            found[tool] = folder / tool
    return found


def make_runner(tool: str, root: Path, work: Path, network: Network | None = None, **environ: str) -> Runner:
    """A runner without the user's own settings."""
    own = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_")
    kept = {name: value for name, value in os.environ.items()
            if not name.upper().startswith(own) and "proxy" not in name.lower()}  # fmt: skip
    source = {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "PIP_NO_CACHE_DIR": "1", **environ}
    granted = Access(network or Network(), work / "cache", lambda line: None, source)
    run = Command(work / "log", lambda line: None, lambda: False)
    if tool == "uv":
        return UvRunner(run, granted, root, Path(real_uv()))
    return PipRunner(run, granted, root, lambda: Path("none"))


@pytest.fixture(params=TOOLS)
def place(request: pytest.FixtureRequest, templates: dict[str, Path], tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path, Path]:  # fmt: skip
    """Tool, an empty environment, and a folder for log and cache."""
    monkeypatch.setitem(access.UV_SETTINGS, "UV_HTTP_RETRIES", "1")
    clone(templates[request.param], tmp_path / "env", lambda: False)
    return request.param, tmp_path / "env", tmp_path / "work"


def failure(runner: Runner, package: str, index: str) -> GeoSegError:
    """The error of an installation."""
    with pytest.raises(GeoSegError) as error:
        runner.install(Request(packages=(f"{package}==1.0",), index=index))
    return error.value


def test_a_download_that_breaks_off_is_no_wrong_hash(
    index: WheelIndex, place: tuple[str, Path, Path]
) -> None:
    tool, root, work = place
    index.faults["big-"] = Fault(cut_at=BIG // 3)
    assert failure(make_runner(tool, root, work), "big", index.address()).code == "install_cut"
    index.faults["big-"] = Fault(wrong_hash=True)
    error = failure(make_runner(tool, root, work / "2"), "big", index.address())
    assert error.code == "install_hash" and "proxy" in error.hint.lower()
    assert "big" not in installed(site_packages(root))


def test_a_proxy_that_wants_a_login_is_named_and_its_password_is_not(
    index: WheelIndex, place: tuple[str, Path, Path]
) -> None:
    tool, root, work = place
    index.login = LOGIN
    far = "http://download.example/default"
    wrong = Network(
        {"HTTP_PROXY": index.proxy("anna:wrong-word"), "HTTPS_PROXY": index.proxy("anna:wrong-word")}
    )
    error = failure(make_runner(tool, root, work, wrong), "small", "https://download.example/default")
    assert error.code == "install_proxy" and "QGIS" in error.hint
    assert "wrong-word" not in error.message + error.details
    right = Network({"HTTP_PROXY": index.proxy("anna:geh%20eim")})
    runner = make_runner(tool, root, work, right, PIP_TRUSTED_HOST="download.example")
    runner.install(Request(packages=("small==1.0",), index=far))
    assert "small" in installed(site_packages(root)) and all(item.proxied for item in index.asked)
    log = (work / "log").read_text(encoding="utf-8")
    assert not any(word in log for word in ("wrong-word", "geh eim", "geh%20eim", "anna"))


def test_certificates_of_an_inspecting_proxy(wheels: Path, place: tuple[str, Path, Path]) -> None:
    tool, root, work = place
    work.mkdir()
    made = make_authority(work)
    if made is None:
        pytest.skip("openssl is not here")
    authority, certificate = made
    with serving(WheelIndex(wheels), certificate) as index:
        assert failure(make_runner(tool, root, work), "small", index.address()).code == "install_ssl"
        said: list[str] = []
        missing = Access(Network(), work / "cache", said.append,
                             {"SSL_CERT_FILE": str(work / "no file"), "PIP_CONFIG_FILE": os.devnull})  # fmt: skip
        assert "SSL_CERT_FILE" in said[0] and "SSL_CERT_FILE" not in missing.uv()
        name = "SSL_CERT_FILE" if tool == "uv" else "PIP_CERT"
        runner = make_runner(tool, root, work, **{name: str(authority)})
        runner.install(Request(packages=("small==1.0",), index=index.address()))


def test_the_third_try_trusts_what_the_machine_and_qgis_trust(
    wheels: Path, place: tuple[str, Path, Path]
) -> None:
    tool, root, work = place
    work.mkdir()
    made = make_authority(work)
    if made is None:
        pytest.skip("openssl is not here")
    authority, certificate = made
    network = Network(certificates=authority.read_text(encoding="ascii"))
    said: list[str] = []
    with serving(WheelIndex(wheels), certificate) as index:
        runner = make_runner(tool, root, work, network)
        request = Request(packages=("small==1.0",), index=index.address())
        granted = runner._access  # type: ignore[attr-defined]
        granted._on_line = said.append
        Persistence(granted, said.append, lambda: False, ()).run(lambda: runner.install(request))
    assert len(said) == 2 and "small" in installed(site_packages(root))


def test_names_and_servers_that_are_not_there(place: tuple[str, Path, Path]) -> None:
    tool, root, work = place
    error = failure(make_runner(tool, root, work), "small", "http://127.0.0.1:9/default")
    assert error.code == "install_network" and "reached" in error.message


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A disk of a few megabytes; skips where that may not be made."""
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mount = shutil.which("mount")
    if mount is None or os.name == "nt" or os.geteuid() != 0:
        pytest.skip("a small disk can be made by root only")
    if subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_a_full_disk_leaves_what_the_next_run_mends(
    wheels: Path, index: WheelIndex, templates: dict[str, Path], tmp_path: Path
) -> None:
    """uv copies from a cache on another disk, and leaves half a package that it takes for installed."""
    tool, work = "uv", tmp_path / "work"
    if not real_uv():
        pytest.skip("without uv; pip's own environment does not fit on so small a disk")
    with small_disk(tmp_path / "disk", 4):
        root = tmp_path / "disk" / "env"
        clone(templates[tool], root, lambda: False)
        (tmp_path / "disk" / "ballast").write_bytes(b"x" * 2_500_000)
        assert failure(make_runner(tool, root, work), "big", index.address()).code == "disk_full"
        (tmp_path / "disk" / "ballast").unlink()
        site = site_packages(root)
        for item in broken_packages(site):
            shutil.rmtree(site / f"{item.name}-{item.version}.dist-info")
        make_runner(tool, root, work).install(Request(packages=("big==1.0",), index=index.address()))
        assert (site / "big" / "data.bin").stat().st_size == BIG and broken_packages(site) == []


def test_a_python_without_ensurepip_gets_pip_from_its_wheel(index: WheelIndex, tmp_path: Path) -> None:
    wheel = next(Path(contextlib.__file__).parent.glob("ensurepip/_bundled/pip-*.whl"), None)
    if wheel is None:
        pytest.skip("this Python has no pip as a file")
    runner = make_runner("pip", tmp_path / "env", tmp_path / "work")
    runner._pip_wheel = lambda: wheel  # type: ignore[attr-defined]
    runner.make(Interpreter(PYTHON, (3, 11), has_pip=False))
    runner.install(Request(packages=("small==1.0",), index=index.address()))
    assert installed(site_packages(tmp_path / "env")) == {"small": "1.0"}


def test_files_are_fetched_again_from_where_they_broke_off(index: WheelIndex, tmp_path: Path) -> None:
    fetch = fetcher({})
    index.faults["big-"] = Fault(cut_at=BIG // 3, times=2)
    wheel = index.root / "default" / "big-1.0-py3-none-any.whl"
    source = Source(index.address(), fetch, tmp_path / "pages", lambda: False)
    got = source.get(Wheel("big", "1.0", "", 0, wheel.name), tmp_path / "kit")
    assert got.read_bytes() == wheel.read_bytes()
    assert [item.range for item in index.asked if item.path.endswith(".whl")] == [
        "", f"bytes={BIG // 3}-", f"bytes={2 * (BIG // 3)}-"]  # fmt: skip
    index.faults["big-"] = Fault(cut_at=BIG // 3, ranges=False)
    with pytest.raises(GeoSegError) as error:
        fetch(f"{index.address('files')}/default/{wheel.name}", tmp_path / "x", lambda: False)
    assert error.value.code == "install_cut"
    with pytest.raises(GeoSegError) as error:
        source.get(Wheel("big", "1.0", "0" * 64, 0, wheel.name), tmp_path / "other")
    assert error.value.code in ("install_cut", "install_hash") and not list(
        (tmp_path / "other").glob("*.whl")
    )
    with pytest.raises(GeoSegError) as error:
        source.get(Wheel("big", "2.0", "", 0, "big-2.0-py3-none-any.whl"), tmp_path / "other")
    assert error.value.code == "install_no_package"
    with pytest.raises(Cancelled):
        fetch(index.address("default") + "/big/", tmp_path / "y", lambda: True)


def test_what_an_antivirus_holds_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    tries = iter(("install_locked", "install_network", ""))

    def action() -> str:
        code = next(tries)
        if code:
            raise GeoSegError(code, "held", "again")
        return "done"

    granted = Access(Network(), tmp_path, said.append, {})
    assert (
        Persistence(granted, said.append, lambda: False, (0.0, 0.0)).run(action) == "done" and len(said) == 2
    )
    tries = iter(("install_hash",))
    with pytest.raises(GeoSegError):
        Persistence(granted, said.append, lambda: False, (0.0, 0.0)).run(action)
    with pytest.raises(Cancelled):
        tries = iter(("install_network", ""))
        Persistence(granted, said.append, lambda: True, (9.0,)).run(action)


def test_a_program_that_may_not_run_is_no_failure_of_the_network(tmp_path: Path) -> None:
    run = Command(tmp_path / "log", lambda line: None, lambda: False)
    script = tmp_path / "uv"
    script.write_text("#!/bin/sh\nexit 126\n", encoding="utf-8")
    for mode in (0o644, 0o755):
        script.chmod(mode)
        with pytest.raises(GeoSegError) as error:
            run.run([str(script)], {})
        assert error.value.code == command.NOT_RUNNABLE


def test_a_python_of_another_processor_is_not_taken(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.12.1 True x86_64 True\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(GeoSegError, match="is a Python for x86_64, not for arm64"):
        find_python(str(python), "arm64")
    assert find_python(str(python)).processor == "x86_64"


def test_halves_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "a-1.dist-info").mkdir()
    (tmp_path / "~b").mkdir()
    assert clear_halves(tmp_path) == ["a-1.dist-info", "~b"] and list(tmp_path.iterdir()) == []
