"""Fetch one file through QGIS's network: its proxy with login, its certificates, its authentication."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QEventLoop, QTimer, QUrl
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from ..contract import Cancelled, GeoSegError
from ..engine.setup.failures import RETRIED, explain
from ..engine.setup.redaction import redacted

TRIES, POLL_MS, SILENCE_MS = 3, 100, 30_000
ACCEPT = b"application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1"
PARTIAL_CONTENT = 206
SIGNS = {
    QNetworkReply.NetworkError.ProxyAuthenticationRequiredError: "407 Proxy Authentication Required",
    QNetworkReply.NetworkError.ProxyConnectionRefusedError: "Cannot connect to proxy",
    QNetworkReply.NetworkError.ProxyNotFoundError: "Cannot connect to proxy",
    QNetworkReply.NetworkError.SslHandshakeFailedError: "certificate verify failed",
    QNetworkReply.NetworkError.HostNotFoundError: "Name or service not known",
    QNetworkReply.NetworkError.ConnectionRefusedError: "Connection refused",
    QNetworkReply.NetworkError.TimeoutError: "timed out",
    QNetworkReply.NetworkError.RemoteHostClosedError: "end of file before message length reached",
    QNetworkReply.NetworkError.ContentNotFoundError: "Could not find a version: 404",
    QNetworkReply.NetworkError.ContentAccessDenied: "403 Forbidden",
    QNetworkReply.NetworkError.AuthenticationRequiredError: "401 Unauthorized",
}
"""Errors of Qt -> as pip and uv report them, so that one table names the cause and the next step."""


def fetch(address: str, target: Path, is_cancelled: Callable[[], bool]) -> None:
    """Fetch a file of any size. Any thread but the main one.

    A download that breaks off continues where it ended, if the server can do that; one of which nothing came is not
    tried again.

    Args:
        address: http, https or file.
        target: gets the content; what was there before is replaced. After a failure it holds a part.
        is_cancelled: called ten times per second.

    Raises:
        Cancelled: when `is_cancelled` says so.
        GeoSegError: the cause and the next step; OSError if the file cannot be written.
    """
    target.unlink(missing_ok=True)
    for left in reversed(range(TRIES)):
        if is_cancelled():
            raise Cancelled
        before = size_of(target)
        try:
            Download(address, target, is_cancelled).run()
        except GeoSegError as error:
            is_silent = error.code == "install_network" and size_of(target) == before
            if left == 0 or is_silent or error.code not in RETRIED:
                raise
        else:
            return


def current_manager() -> QgsNetworkAccessManager:
    """Return QGIS's network of this thread with the settings of now: those that it began with may be old."""
    manager = QgsNetworkAccessManager.instance()
    manager.setupDefaultProxyAndCache()
    return manager


def size_of(file: Path) -> int:
    """Return the size of a file in bytes; 0 if it does not exist."""
    return file.stat().st_size if file.exists() else 0


class Download:
    """One try to fetch a file, or the rest of it."""

    def __init__(self, address: str, target: Path, is_cancelled: Callable[[], bool]) -> None:
        self._address, self._target, self._is_cancelled = address, target, is_cancelled
        self._have = size_of(target)
        self._stream: IO[bytes] | None = None
        self._trouble: OSError | None = None

    def run(self) -> None:
        """Fetch, with an event loop of this thread. Raises as `fetch`."""
        reply = current_manager().get(self._request())
        loop, timer = QEventLoop(), QTimer()
        reply.readyRead.connect(lambda: self._write(reply))
        reply.finished.connect(loop.quit)
        timer.timeout.connect(lambda: reply.abort() if self._is_cancelled() else None)
        timer.start(POLL_MS)
        try:
            if not reply.isFinished():
                loop.exec()
            self._write(reply)
        finally:
            timer.stop()
            if self._stream is not None:
                self._stream.close()
            reply.deleteLater()
        if self._is_cancelled():
            raise Cancelled
        if self._trouble is not None:
            raise self._trouble
        self._check(reply)

    def _request(self) -> QNetworkRequest:
        request = QNetworkRequest(QUrl(self._address))
        request.setRawHeader(b"Accept", ACCEPT)
        if self._have:
            request.setRawHeader(b"Range", f"bytes={self._have}-".encode("ascii"))
        policy = QNetworkRequest.RedirectPolicy.NoLessSafeRedirectPolicy
        request.setAttribute(QNetworkRequest.Attribute.RedirectPolicyAttribute, policy)
        cache = QNetworkRequest.CacheLoadControl.AlwaysNetwork
        request.setAttribute(QNetworkRequest.Attribute.CacheLoadControlAttribute, cache)
        request.setAttribute(QNetworkRequest.Attribute.CacheSaveControlAttribute, False)
        request.setTransferTimeout(SILENCE_MS)
        return request

    def _write(self, reply: QNetworkReply) -> None:
        """Write what has come; the body of an error page is left out."""
        if self._trouble is not None or reply.error() != QNetworkReply.NetworkError.NoError:
            return
        try:
            if self._stream is None:
                status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
                if status is not None and int(status) >= 400:
                    return
                continues = self._have > 0 and status == PARTIAL_CONTENT
                self._stream = self._target.open("ab" if continues else "wb")
            self._stream.write(bytes(reply.readAll()))
        except OSError as error:
            self._trouble = error
            reply.abort()

    def _check(self, reply: QNetworkReply) -> None:
        error = reply.error()
        if error == QNetworkReply.NetworkError.NoError:
            return
        if error == QNetworkReply.NetworkError.OperationCanceledError:
            error = (
                QNetworkReply.NetworkError.TimeoutError
            )  # nobody cancelled: Qt ends what is silent in this way
        what = f"{SIGNS.get(error, 'error sending request')}: {reply.errorString()} ({self._address})"
        raise explain([], [redacted(what)], 1)
