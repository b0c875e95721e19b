"""A package index of tiny wheels on loopback, with faults that can be switched on while it runs.

Pages are served as PEP 503 and PEP 691, wheels with Range, ETag and their metadata beside them. The same server also is
a proxy: it answers for every host that it is asked for, with a password if one is set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


def record_line(name: str, data: bytes) -> str:
    """One line of a RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    requires: Iterable[str] = (),
    files: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel with one module, or with other files. Returns its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    module = {f"{name.replace('-', '_')}/__init__.py": f"__version__ = {version!r}\n".encode()}
    contents = dict(module if files is None else files)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {item}\n" for item in requires)
    contents[f"{stem}.dist-info/METADATA"] = metadata.encode()
    contents[f"{stem}.dist-info/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    record = "".join(record_line(path, data) for path, data in contents.items())
    contents[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), data)
    return file


@dataclass
class Fault:
    """What goes wrong with files whose name holds a text.

    Attributes:
        cut_at: the connection ends after this number of bytes.
        times: how often it is cut; negative is always.
        ranges: whether the server continues a download.
        wrong_hash: the page states another hash.
        status: answer with this status instead.
        slow_s: seconds before the answer.
    """

    cut_at: int = 0
    times: int = -1
    ranges: bool = True
    wrong_hash: bool = False
    status: int = 0
    slow_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    range: str
    proxied: bool


@dataclass
class WheelIndex:
    """The server. `root` has one folder of wheels for each index: `default`, `cpu`, `cu130`, …

    Attributes:
        root: folder of the indexes.
        faults: text in a file name -> what goes wrong; read at each request.
        login: `user:password` that the proxy wants; empty wants none.
        asked: all requests so far.
    """

    root: Path
    faults: dict[str, Fault] = field(default_factory=dict)
    login: str = ""
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    def address(self, index: str = "default") -> str:
        """Address of an index."""
        return f"{self.scheme}://127.0.0.1:{self.port}/{index}"

    def proxy(self, login: str = "") -> str:
        """Address of the proxy."""
        return f"http://{login + '@' if login else ''}127.0.0.1:{self.port}"

    def files(self, ending: str = ".whl") -> list[str]:
        """Names of the files that were requested, in order."""
        return [Path(item.path).name for item in self.asked if item.path.endswith(ending)]

    def fault_of(self, name: str) -> Fault:
        """The fault of a file."""
        return next((fault for part, fault in self.faults.items() if part in name), Fault())


@contextmanager
def serving(index: WheelIndex, certificate: Path | None = None) -> Iterator[WheelIndex]:
    """Run the server while the block runs; with a certificate (and its key in the same file) over TLS."""
    handler = type("Handler", (_Handler,), {"index": index})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        index.scheme = "https"
    index.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: WheelIndex
    protocol_version = "HTTP/1.1"

    def log_message(self, *_values: object) -> None:
        """Print nothing."""

    def do_CONNECT(self) -> None:
        """A tunnel is never opened: only its refusals are tried."""
        self._refuse(407 if self._lacks_login() else 502)

    def do_HEAD(self) -> None:
        self.do_GET(False)

    def do_GET(self, body: bool = True) -> None:
        parts = urlsplit(self.path)
        proxied = bool(parts.netloc)
        path = unquote(parts.path)
        self.index.asked.append(Asked(path, self.headers.get("Range", ""), proxied))
        if proxied and self._lacks_login():
            self._refuse(407)
            return
        fault = self.index.fault_of(Path(path).name)
        time.sleep(fault.slow_s)
        if fault.status:
            self._refuse(fault.status)
        elif path.endswith("/"):
            self._page(path)
        elif path.endswith(".metadata"):
            self._metadata(path.removesuffix(".metadata"))
        else:
            self._file(path, fault, body)

    def _lacks_login(self) -> bool:
        wanted = "Basic " + base64.b64encode(self.index.login.encode()).decode()
        return bool(self.index.login) and self.headers.get("Proxy-Authorization", "") != wanted

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _page(self, path: str) -> None:
        index, project = path.strip("/").split("/")[-2:]
        wheels = sorted((self.index.root / index).glob(f"{project.replace('-', '_')}-*.whl"))
        if not wheels:
            self._refuse(404)
            return
        files = []
        for file in wheels:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            if self.index.fault_of(file.name).wrong_hash:
                digest = "0" * 64
            meta = hashlib.sha256(_metadata_of(file)).hexdigest()
            address = f"../../files/{index}/{file.name}"
            files.append({"filename": file.name, "url": address, "hashes": {"sha256": digest},
                          "core-metadata": {"sha256": meta}})  # fmt: skip
        if "json" in self.headers.get("Accept", ""):
            page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
            self._send(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
            return
        links = "".join(f'<a href="{item["url"]}#sha256={item["hashes"]["sha256"]}">{item["filename"]}</a>\n'
                        for item in files)  # fmt: skip
        self._send(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def _metadata(self, path: str) -> None:
        index, name = path.strip("/").split("/")[-2:]
        self._send(_metadata_of(self.index.root / index / name), "application/octet-stream")

    def _file(self, path: str, fault: Fault, body: bool) -> None:
        index, name = path.strip("/").split("/")[-2:]
        data = (self.index.root / index / name).read_bytes()
        begin = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and fault.ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin = int(first) if first else len(data) - int(last)
            end = min(len(data), int(last) + 1) if first and last else len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        else:
            end = len(data)
            self.send_response(200)
        if fault.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()[:16]}"')
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        if not body:
            return
        cut = fault.cut_at if fault.times else 0
        if cut and end - begin > cut:
            fault.times -= 1
            self.wfile.write(data[begin : begin + cut])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(data[begin:end])


def _metadata_of(file: Path) -> bytes:
    with zipfile.ZipFile(file) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA")))


def make_authority(folder: Path) -> tuple[Path, Path] | None:
    """Make a certificate authority and a certificate for 127.0.0.1. Returns both files; None without openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    authority, key, server = folder / "ca.pem", folder / "ca.key", folder / "server.pem"
    new = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    subprocess.run(
        [*new, "-out", str(authority), "-subj", "/CN=Test authority"], check=True, capture_output=True
    )
    request, own = folder / "server.csr", folder / "server.key"
    asking = [openssl, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(own), "-out", str(request)]
    subprocess.run([*asking, "-subj", "/CN=127.0.0.1"], check=True, capture_output=True)
    names = folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    signing = [
        openssl,
        "x509",
        "-req",
        "-in",
        str(request),
        "-CA",
        str(authority),
        "-CAkey",
        str(key),
        "-days",
        "2",
    ]
    signed = [*signing, "-CAcreateserial", "-extfile", str(names), "-out", str(folder / "server.crt")]
    subprocess.run(signed, check=True, capture_output=True)
    server.write_bytes((folder / "server.crt").read_bytes() + own.read_bytes())
    return authority, server
