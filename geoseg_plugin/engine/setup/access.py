"""The variables with which pip and uv run: the user's index, proxy and certificates, and nothing that misleads them."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..environment import cleaned
from .pip_settings import pip_settings
from .plan import Network

TRUST_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Each of them replaces all trust."""
NETWORK_SETTINGS = ("cert", "client-cert", "proxy", "timeout", "default-timeout", "retries", "trusted-host")
"""Settings of pip that also hold for PyTorch's index; all others belong to the user's own index."""
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem")  # fmt: skip
IMPATIENT_S = "20"
"""Time-out for a server that did not answer a moment ago, where another one may have the same file."""
TRIES = 3
"""Certificates: as they are set; the machine's store; its certificates (and those of QGIS) as a file."""
UV_SETTINGS = {
    "UV_HTTP_TIMEOUT": "120",
    "UV_HTTP_RETRIES": "5",
    "UV_CONCURRENT_DOWNLOADS": "3",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}
UV_KEPT = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_KEYRING_PROVIDER",
           "UV_SYSTEM_CERTS", "UV_INSECURE_HOST")  # fmt: skip
"""Beginnings of the user's settings for uv that say where packages come from; all others are left out."""


class Access:
    """Variables of the tools for one installation.

    Args:
        network: how the network is reached.
        cache: folder for downloads and temporary files.
        on_line: called with what the user must know.
        environ: variables of this process; None takes them from the system.

    Attributes:
        settings: the user's settings for pip.
        trust: number of the way in which servers are trusted, 0 to `TRIES` - 1.
        pip_cache: folder for pip's cache; None is the usual one.
        impatient: do not wait long for a server, and do not try again.
    """

    def __init__(
        self,
        network: Network,
        cache: Path,
        on_line: Callable[[str], None],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._network = network
        self._cache = cache
        self._on_line = on_line
        self._source = dict(os.environ if environ is None else environ)
        self.settings = pip_settings(self._source)
        self.trust = 0
        self.pip_cache: Path | None = None
        self.impatient = False
        self._drop_missing_certificates()

    def distrust(self) -> bool:
        """Take the next way to trust a server. Returns whether there is one."""
        if self.trust + 1 >= TRIES:
            return False
        self.trust += 1
        names = ("the machine's certificates", "the machine's certificates from a file")
        self._on_line(f"The certificate was refused; now with {names[self.trust - 1]}.")
        return True

    def pip(self, only_index: bool = False) -> dict[str, str]:
        """Return the variables of pip.

        Args:
            only_index: an index is named and nothing else may be used: the user's index and links are left out.
        """
        environ = self._base()
        for name, value in self.settings.items():
            if not only_index or name in NETWORK_SETTINGS:
                environ["PIP_" + name.upper().replace("-", "_")] = value
        if self.trust:
            environ.pop("PIP_CERT", None)
        environ["PIP_CONFIG_FILE"] = os.devnull
        environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        environ.setdefault("PIP_DEFAULT_TIMEOUT", "60")
        if self.impatient:
            environ.update(PIP_RETRIES="1", PIP_DEFAULT_TIMEOUT=IMPATIENT_S)  # without any, pip is silent
        if self.pip_cache is not None:
            environ["PIP_CACHE_DIR"] = str(self.pip_cache)
        return self._with_trust(environ, "PIP_CERT")

    def uv(self, only_index: bool = False) -> dict[str, str]:
        """Return the variables of uv; what the user set for pip holds too, where uv has a word for it.

        Args:
            only_index: as for `pip`.
        """
        environ = self._base()
        if not only_index:
            environ.update(self._uv_index())
            environ.update(
                {name: value for name, value in self._source.items() if name.upper().startswith(UV_KEPT)}
            )
        else:
            environ["UV_NO_CONFIG"] = "1"
        environ.update(UV_SETTINGS)
        if self.impatient:
            environ.update(UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT=IMPATIENT_S)
        environ["UV_CACHE_DIR"] = str(self._cache)
        if mirror := self._source.get("UV_PYTHON_INSTALL_MIRROR"):
            environ["UV_PYTHON_INSTALL_MIRROR"] = mirror
        if "cert" in self.settings and "SSL_CERT_FILE" not in environ and not self.trust:
            environ["SSL_CERT_FILE"] = self.settings["cert"]
        if "proxy" in self.settings:
            environ.setdefault("HTTPS_PROXY", self.settings["proxy"])
        if self.trust:
            environ["UV_SYSTEM_CERTS"] = "1"
        return self._with_trust(environ, "SSL_CERT_FILE")

    def _uv_index(self) -> dict[str, str]:
        pairs = (
            ("index-url", "UV_DEFAULT_INDEX"),
            ("extra-index-url", "UV_INDEX"),
            ("find-links", "UV_FIND_LINKS"),
        )
        found = {target: self.settings[name] for name, target in pairs if self.settings.get(name)}
        if "UV_INDEX" in found:
            # pip looks for the best version in all of the user's indexes; uv would end at the first.
            found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if "UV_FIND_LINKS" in found:
            found["UV_FIND_LINKS"] = ",".join(found["UV_FIND_LINKS"].split())
        return found

    def _base(self) -> dict[str, str]:
        environ = {name: value for name, value in cleaned(self._source).items()
                   if not name.upper().startswith(("PIP_", "UV_"))}  # fmt: skip
        del environ["PYTHONPATH"]
        for name, value in self._network.environ.items():
            environ[name] = value
            if name.upper().endswith("_PROXY"):
                environ[name.upper()] = environ[name.lower()] = value
        if self.trust:
            for name in TRUST_VARIABLES:
                environ.pop(name, None)
        temporary = self._cache / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        environ.update({name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")})
        return environ

    def _with_trust(self, environ: dict[str, str], variable: str) -> dict[str, str]:
        if self.trust == TRIES - 1 and (bundle := self._bundle()):
            environ[variable] = environ["SSL_CERT_FILE"] = environ["REQUESTS_CA_BUNDLE"] = str(bundle)
        return environ

    def _bundle(self) -> Path | None:
        """Write the machine's certificates, and those that QGIS trusts, into one file."""
        text = machine_certificates() + self._network.certificates
        if not text:
            return None
        file = self._cache / "certificates.pem"
        file.write_text(text, encoding="ascii", errors="ignore")
        return file

    def _drop_missing_certificates(self) -> None:
        """A variable that names no file makes the tools trust nothing."""
        for name in TRUST_VARIABLES:
            value = self._source.get(name, "")
            if value and not any(Path(part).exists() for part in value.split(os.pathsep)):
                self._on_line(f"{name} names {value}, which does not exist; it is ignored.")
                del self._source[name]
        cert = self.settings.get("cert", "")
        if cert and not Path(cert).exists():
            del self.settings["cert"]


def machine_certificates() -> str:
    """Return the certificates of the machine's store as PEM text; empty where they cannot be read."""
    if sys.platform == "win32":
        found = []
        for store in ("ROOT", "CA"):
            for data, encoding, _ in ssl.enum_certificates(store):
                if encoding == "x509_asn":
                    found.append(ssl.DER_cert_to_PEM_cert(data))
        return "".join(found)
    places = (ssl.get_default_verify_paths().cafile or "", *BUNDLES)
    file = next((Path(name) for name in places if name and Path(name).is_file()), None)
    return file.read_text(encoding="utf-8", errors="ignore") if file else ""
