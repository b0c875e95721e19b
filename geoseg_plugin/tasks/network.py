"""QGIS's network for the installer: its proxy and certificates as variables of child processes.

Called in a task thread: a proxy script of the system may take seconds to answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyQuery

from ..engine.setup.builds import BUILDS, address
from ..engine.setup.plan import Network
from ..engine.setup.simple_index import DEFAULT_INDEX
from .fetching import current_manager, fetch

ADDRESSES = (DEFAULT_INDEX, address(BUILDS["cpu"], {}))
"""Where packages come from unless the user's settings say otherwise; a proxy is asked for with the first of them."""
SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the hosts that are reached without it; without a host there is none.

    Attributes:
        host: its name or address.
        port: 1 to 65535.
        user: login; empty if none is needed.
        password: of the login; kept out of `repr`, arguments and logs.
        scheme: `http` or `socks5h`.
        without: hosts that are reached directly.
    """

    host: str = ""
    port: int = 8080
    user: str = ""
    password: str = ""
    scheme: str = "http"
    without: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Proxy({self.name or 'none'})"

    @property
    def name(self) -> str:
        """Host and port as shown, without the login; empty if there is none."""
        return f"{self.host}:{self.port}" if self.host else ""

    def environ(self) -> dict[str, str]:
        """Return the variables that uv and pip read, in both cases, percent-encoded; empty without a proxy."""
        if not self.host:
            return {}
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = f"{self.scheme}://{login}{host}:{self.port}"
        values = {"HTTPS_PROXY": address, "HTTP_PROXY": address}
        if self.without:
            values["NO_PROXY"] = ",".join(self.without)
        return {**values, **{name.lower(): value for name, value in values.items()}}


def find_proxy(addresses: Sequence[str] = ADDRESSES, environ: Mapping[str, str] | None = None) -> Proxy:
    """Return the proxy for these addresses: QGIS's with its login and exceptions, else the system's, else none.

    Without one in QGIS the variables of the environment stay as they are; children inherit them.

    Args:
        addresses: that will be opened; the first one with a proxy decides.
        environ: variables of this process; None uses those of the system.
    """
    network = current_manager()
    direct = [host_of(item) for item in (*network.noProxyList(), *network.excludeList())]
    found: QNetworkProxy | None = None
    for place in addresses:
        proxies = network.proxyFactory().queryProxy(QNetworkProxyQuery(QUrl(place)))
        proxy = next((item for item in proxies if item.type() in SCHEMES and item.hostName()), None)
        if proxy is None:
            direct.append(host_of(place))
        elif found is None:
            found = proxy
    if found is None:
        return of_environ(os.environ if environ is None else environ)
    without = tuple(dict.fromkeys(host for host in direct if host))
    scheme = SCHEMES[found.type()]
    return Proxy(found.hostName(), found.port(), found.user(), found.password(), scheme, without)


def of_environ(environ: Mapping[str, str]) -> Proxy:
    """Return the proxy that variables name, for the page; its login is not read, as children inherit it."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        value = environ.get(name, "")
        try:
            parts = urlsplit(value if "//" in value else f"//{value}")
            if parts.hostname:
                return Inherited(parts.hostname, parts.port or 8080)
        except ValueError:
            continue
    return Proxy()


class Inherited(Proxy):
    """A proxy of the environment, which child processes have already."""

    def environ(self) -> dict[str, str]:
        return {}


def host_of(address: str) -> str:
    """Return the host of an address with or without its scheme; empty if there is none."""
    text = address.strip()
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


def qgis_certificates() -> str:
    """Return the certificates that QGIS trusts besides the machine's, as PEM text; empty if there are none."""
    manager = QgsApplication.authManager()
    if manager is None or manager.isDisabled():
        return ""
    return bytes(manager.trustedCaCertsPemText()).decode("ascii", "ignore")


def qgis_network() -> Network:
    """Return how an installation in a task reaches the network. Any thread but the main one."""
    return Network(find_proxy().environ(), fetch, qgis_certificates())
