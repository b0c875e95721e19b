"""Fetch one file with Python's own means, for a shell without QGIS; QGIS has its own network."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ...contract import Cancelled, GeoSegError
from .failures import explain
from .redaction import redacted, secrets_of
from .simple_index import local_path

BLOCK = 1 << 18
TIMEOUT_S = 60.0
TRIES = 4
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1"


def fetcher(
    environ: Mapping[str, str], tries: int = TRIES, timeout_s: float = TIMEOUT_S
) -> Callable[[str, Path, Callable[[], bool]], None]:
    """Return a function that fetches an address into a file, through the proxy that the variables name.

    A download that breaks off continues where it ended, if the server can do that.

    Args:
        environ: variables with HTTPS_PROXY, SSL_CERT_FILE.
        tries: how often a server is asked.
        timeout_s: longest silence.
    """
    proxies = {scheme: value for scheme in ("http", "https")
               if (value := environ.get(f"{scheme}_proxy") or environ.get(f"{scheme}_proxy".upper(), ""))}  # fmt: skip
    cert = environ.get("SSL_CERT_FILE", "")
    context = ssl.create_default_context(cafile=cert if cert and Path(cert).is_file() else None)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )
    secrets, logins = secrets_of(dict(environ)), _Logins()

    def fetch(address: str, target: Path, is_cancelled: Callable[[], bool]) -> None:
        source = local_path(address)
        if source is not None:
            _copy(source, target)
            return
        target.unlink(missing_ok=True)
        plain, login = logins.taken_from(address)
        for left in reversed(range(tries)):
            if is_cancelled():
                raise Cancelled
            try:
                _download(opener, _request(plain, login), target, is_cancelled, timeout_s)
            except (OSError, http.client.HTTPException) as error:
                problem = _problem(error, plain, secrets)
                if left == 0 or problem.code not in ("install_network", "install_cut"):
                    raise problem from error
            else:
                return

    return fetch


class _Logins:
    """Logins in addresses: sent as a header to their own host, as a login in an address is none for urllib."""

    def __init__(self) -> None:
        self._headers: dict[str, str] = {}

    def taken_from(self, address: str) -> tuple[str, str]:
        """Return an address without its login, and the header for its host, that of an earlier address too."""
        parts = urlsplit(address)
        login, sign, host = parts.netloc.rpartition("@")
        if sign:
            value = base64.b64encode(unquote(login if ":" in login else login + ":").encode()).decode("ascii")
            self._headers[f"{parts.scheme}://{host}"] = f"Basic {value}"
        header = self._headers.get(f"{parts.scheme}://{host}", "")
        return urlunsplit(parts._replace(netloc=host)), header


def _request(address: str, login: str) -> urllib.request.Request:
    """Return a request; a login does not go along where the server sends it to another address."""
    headers = {"Accept": ACCEPT, "User-Agent": "GeoSeg"}
    request = urllib.request.Request(address, headers=headers)  # http, https and file only; see fetch
    if login:
        request.add_unredirected_header("Authorization", login)
    return request


def _download(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    target: Path,
    is_cancelled: Callable[[], bool],
    timeout_s: float,
) -> None:
    have = target.stat().st_size if target.exists() else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
    with opener.open(request, timeout=timeout_s) as answer:
        continues = have > 0 and answer.status == 206
        expected = answer.headers.get("Content-Length")
        received = 0
        with target.open("ab" if continues else "wb") as stream:
            while block := answer.read(BLOCK):
                stream.write(block)
                received += len(block)
                if is_cancelled():
                    raise Cancelled
    if expected is not None and received < int(expected):
        raise http.client.IncompleteRead(b"", int(expected) - received)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        names = sorted(item.name for item in source.iterdir())
        target.write_text("".join(f'<a href="{name}">{name}</a>\n' for name in names), encoding="utf-8")
    else:
        target.write_bytes(source.read_bytes())


def _problem(error: Exception, address: str, secrets: tuple[str, ...]) -> GeoSegError:
    if isinstance(error, urllib.error.HTTPError):
        text = f"{error.code} {error.reason}"
        text = {407: "407 Proxy Authentication Required", 404: f"Could not find a version: {text}"}.get(
            error.code, text
        )
    else:
        text = f"{type(error).__name__}: {getattr(error, 'reason', '') or error}"
    return explain([], [redacted(f"{text} ({address})", secrets)], 1)
