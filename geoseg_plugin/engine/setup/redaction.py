"""Black out what nobody else may read: passwords and tokens in texts, and the user's name in paths."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "PIP_PROXY")
_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s'\"]*@", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>[\w-]*(?:password|passwd|pwd|token|secret|api[_-]?key|signature|credential)[\w-]*)(?P<sign>\s*(?:=(?!=)|:)\s*)"
    r"(?P<value>[^\s&'\",;]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(authorization\s*:\s*)(basic|bearer|digest|ntlm|negotiate)?\s*\S+", re.IGNORECASE)
_TOKENS = re.compile(r"\b(?:pypi-|ghp_|gho_|ghs_|github_pat_|glpat-|hf_|xox[abp]-)[\w-]{12,}")
_HOMES = re.compile(r"((?:/home/|/Users/|[A-Za-z]:[\\/]Users[\\/]))([^\\/\s:'\"]+)")
_SHARED = ("public", "shared", "default", "all users")


def redacted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return a text without logins in addresses, passwords, tokens and the user's name in paths.

    Args:
        text: any text for a log or for the clipboard.
        secrets: further words that must not be read, e.g. the password of the proxy.
    """
    for secret in sorted((item for item in secrets if len(item) > 2), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _LOGIN.sub(rf"\1{HIDDEN}@", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _NAMED.sub(rf"\g<name>\g<sign>{HIDDEN}", text)
    text = _TOKENS.sub(HIDDEN, text)
    return _without_user(text)


def secrets_of(environ: dict[str, str]) -> tuple[str, ...]:
    """Return user names and passwords of the proxies in an environment, as they are and percent-encoded."""
    found: list[str] = []
    for name, value in environ.items():
        if name.upper() in PROXY_VARIABLES and "@" in value:
            login = value.partition("://")[2].rpartition("@")[0]
            found += [part for word in login.split(":", 1) for part in (word, unquote(word))]
    return tuple(dict.fromkeys(word for word in found if word))


def host_of(address: str) -> str:
    """Return the host and port of an address, which may be shown."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    return parts.netloc.rpartition("@")[2]


def _without_user(text: str) -> str:
    try:
        home = str(Path.home())
    except RuntimeError:  # a user without a home, in a container
        home = ""
    if len(home) > 3 and home not in (os.sep, "/root"):
        text = text.replace(home, "~")
    return _HOMES.sub(lambda found: found.group(1) + _kept_or_hidden(found.group(2)), text)


def _kept_or_hidden(name: str) -> str:
    return name if name.lower() in _SHARED else HIDDEN
