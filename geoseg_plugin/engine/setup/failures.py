"""What went wrong in an installation, read from what the tools print: a code, a sentence and a next step each.

Standard output of uv 0.13 and of pip 23 to 26 was compared. All lines are looked at, one kind of failure after the
other: pip ends a failed connection with "Could not find a version", which is never the cause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...contract import GeoSegError

AGAIN = "What is downloaded already is kept; set up again."
RETRIED = ("install_network", "install_cut", "install_locked")
"""Codes of failures that may be gone a few seconds later."""
_BAR = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?) (?:k|M|G)?B")
"""pip's bar in a log: how much of a file came."""
_PROGRESS = re.compile(
    r"\s*(?:Collecting|Downloading|Using cached|Requirement already|Installing collected|Found) "
)


@dataclass(frozen=True)
class Failure:
    """One kind of failure.

    Attributes:
        code: stable code of the error.
        signs: regular expression; one of the lines matches it.
        sentence: what happened.
        hint: next step.
    """

    code: str
    signs: str
    sentence: str
    hint: str


CUT = Failure(
    "install_cut",
    r"end of file before message length|IncompleteRead|incomplete-download|Connection interrupted"
    r"|not enough bytes|Download failed because not enough|unexpected end of file|body from connection|BadZipFile"
    r"|zip file is (?:invalid|truncated)|has invalid wheel|is not a (?:valid )?zip",
    "The download broke off",
    f"{AGAIN} If it always breaks off, save an offline kit on another computer and install from it.",
)
HASH = Failure(
    "install_hash",
    r"Hash mismatch|DO NOT MATCH THE HASHES|hash.{0,20}does not match",
    "A downloaded file differs from the one that was tested",
    "A proxy, a mirror or tampering changes files: use another network, or install from an offline kit."
    " Nothing of it was installed.",
)
FAILURES = (
    Failure(
        "install_proxy",
        r"\b407 Proxy|prox.*\b407\b|\b407\b.*prox|proxy authori[sz]ation required|Proxy Authentication Required",
        "The network's proxy requires a user name and password",
        "Enter them in QGIS under Settings > Options > Network (or in HTTPS_PROXY), then set up again. If the proxy"
        " only accepts a Windows login, install from an offline kit.",
    ),
    Failure(
        "install_ssl",
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate|UnknownIssuer|SSLError"
        r"|SSLCertVerificationError|self[- ]signed certificate|unable to get local issuer",
        "A proxy or antivirus replaces the certificates of the servers, and its own certificate is not trusted",
        "Set SSL_CERT_FILE to the certificate file of your network (ask your administrator), start QGIS again and set"
        " up again; or install from an offline kit.",
    ),
    Failure(
        "disk_full",
        r"No space left|os error 28\b|Errno 28\]|not enough space on the disk|os error 112\b|WinError 112\]"
        r"|Disk quota exceeded|os error 122\b|Errno 122\]",
        "The disk is full",
        "Free some space on the disk that the log names (it may be that of the cache or of temporary files) or choose"
        " another folder, then set up again.",
    ),
    Failure(
        "path_too_long",
        r"Long Path support|File name too long|os error 206\b|WinError 206\]|Errno 36\]|os error 36\b",
        "A path is longer than the system allows",
        "Choose a shorter folder. On Windows e.g. C:\\geoseg, or let an administrator enable long paths"
        " (LongPathsEnabled).",
    ),
    Failure(
        "not_writable",
        r"Read-only file system|os error 30\b|Errno 30\]",
        "The folder is on a disk that can only be read",
        "Choose a folder that you may write to.",
    ),
    Failure(
        "install_disk",
        r"Input/output error|Structure needs cleaning|os error 1117\b|WinError 1117\]",
        "The disk reports an error",
        "Choose a folder on another disk, and have this one checked.",
    ),
    Failure(
        "install_network",
        r"Broken pipe",
        "The server ended the connection",
        f"Is the network there? {AGAIN}",
    ),
    Failure(
        "install_locked",
        r"os error 5\b|os error 32\b|os error 33\b|WinError 5\]|WinError 32\]|WinError 33\]|Access is denied"
        r"|being used by another process|Text file busy|os error 26\b",
        "Another program holds a file, most likely the antivirus or a QGIS that still uses the engine",
        "Close other QGIS windows and set up again. If it happens again, ask your administrator to exclude the engine's"
        " folder from the antivirus, or choose a folder outside your profile.",
    ),
    Failure(
        "not_writable",
        r"Permission denied|os error 13\b|Errno 13\]|Operation not permitted",
        "A file or folder cannot be written",
        "Choose a folder that you may write to.",
    ),
    Failure(
        "no_python",
        r"ensurepip is not available|No module named '?(?:ensurepip|venv)\b|python3?[\d.]*-venv",
        "This Python cannot make environments",
        "Install the package python3-venv, or choose another Python.",
    ),
    Failure(
        "install_blocked",
        r"\b403\b.*Forbidden|Forbidden.*\b403\b|HTTP status client error \(403|\b451\b.*Unavailable",
        "The network does not allow the download",
        "Ask your administrator to allow the address in the log, or install from an offline kit.",
    ),
    Failure(
        "install_login",
        r"\b401\b.*Unauthori[sz]ed|HTTP status client error \(401|User for .*:",
        "The package index requires a login",
        "Correct the login of your package index (PIP_INDEX_URL, pip.conf or .netrc), then set up again.",
    ),
    CUT,
    Failure(
        "install_network",
        r"failed to lookup address|name resolution|getaddrinfo failed|Name or service not known|nodename nor servname"
        r"|No address associated|NameResolutionError|dns error",
        "The server's name is not known to the network",
        f"Is the network there? Behind a proxy, set it in QGIS under Settings > Options > Network. {AGAIN}",
    ),
    Failure(
        "install_network",
        r"Cannot connect to proxy|ProxyError|tunnel error|proxy connect|Tunnel connection failed",
        "The network's proxy does not answer",
        f"Check the proxy in QGIS under Settings > Options > Network (or HTTPS_PROXY). {AGAIN}",
    ),
    Failure(
        "install_network",
        r"timed out|TimeoutError|ReadTimeout|ConnectTimeout|took too long",
        "The server does not answer in time",
        f"The network is slow. {AGAIN}",
    ),
    Failure(
        "install_network",
        r"Connection refused|Connection reset|Connection aborted|ConnectionError|NewConnectionError"
        r"|error sending request|Failed to fetch|Failed to download|No route to host|Network is unreachable"
        r"|\b50[0234]\b (?:Server Error|Bad|Service|Gateway)"
        r"|HTTP status server error|Remote end closed|network connectivity is disabled",
        "The server cannot be reached",
        f"Is the network there? {AGAIN}",
    ),
    Failure(
        "install_insecure",
        r"not a trusted or secure host",
        "The package index has an address without encryption",
        "Use its https address (PIP_INDEX_URL or pip.conf).",
    ),
    Failure(
        "install_no_package",
        r"Could not find a version|No matching distribution|No solution found|not found in the package registry"
        r"|no wheels with a matching|is not a supported wheel|there (?:is|are) no versions? of|ResolutionImpossible",
        "A package does not exist for this Python or machine in the package index",
        "Choose another Python (3.12 is tested most), or leave the field empty to have one found. If your own package"
        " index is a copy, it lacks the package that the log names.",
    ),
)  # fmt: skip


def explain(arguments: Sequence[str], lines: Sequence[str], code: int) -> GeoSegError:
    """Return the error for a command that failed: its code, sentence and next step follow from all lines.

    Args:
        arguments: of the command.
        lines: its output, without secrets.
        code: its exit code.
    """
    text = "\n".join(lines)
    lines = [line for line in lines if not _PROGRESS.match(line)]
    for failure in (HASH, *FAILURES):
        found = _line(lines, failure.signs)
        if found:
            if failure is HASH and (part := _part(lines)):
                failure, found = CUT, part
            return GeoSegError(failure.code, f"{failure.sentence}: {found}", failure.hint, text)
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    what = (errors or [line for line in lines if line.strip()] or [""])[-1].strip()
    tool = arguments[0] if arguments else "The command"
    return GeoSegError(
        "install_failed",
        f"The installation stopped with exit code {code}: {what or tool}",
        "Look at the log, then set up again: finished steps are kept.",
        text,
    )


def _line(lines: Sequence[str], signs: str) -> str:
    """Return the last line that shows a sign, shortened; empty if none does."""
    pattern = re.compile(signs, re.IGNORECASE if "Errno" not in signs else 0)
    found = next((line.strip() for line in reversed(lines) if pattern.search(line)), "")
    return found if len(found) <= 300 else found[:299] + "…"


def _part(lines: Sequence[str]) -> str:
    """Return how much of a file came, where a tool reports its hash but it was not complete; empty if it was.

    pip before 25 takes half a file for the whole one. Its bar shows how much came; the later tools report the end of
    the connection in a line of its own.
    """
    if cut := _line(lines, CUT.signs):
        return cut
    bars = [found for line in lines if (found := _BAR.search(line))]
    if bars and float(bars[-1].group(1)) < 0.995 * float(bars[-1].group(2)):
        return f"{bars[-1].group(1)} of {bars[-1].group(2)} MB came"
    return ""


def unreachable(error: GeoSegError) -> bool:
    """Whether an index could not be used at all, so that another source may be tried."""
    return error.code in (
        "install_network",
        "install_ssl",
        "install_proxy",
        "install_blocked",
        "install_no_package",
    )
