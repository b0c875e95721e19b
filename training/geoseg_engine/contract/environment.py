"""Environment variables by which other programs change what GDAL and PROJ read, dropped at every entry point."""

from __future__ import annotations

from collections.abc import MutableMapping

OF_LIBRARIES = ("GDAL_", "GTIFF_", "GEOTIFF_", "OGR_", "OSR_", "CPL_", "PROJ_", "PYOGRIO_", "GEOPANDAS_")
KEPT = (
    *("GDAL_HTTP_", "GDAL_PROXY_AUTH", "CPL_CURL_", "CPL_VSIL_", "PROJ_CURL_", "PROJ_NETWORK"),
    *("GDAL_CACHEMAX", "GDAL_NUM_THREADS", "CPL_TMPDIR", "CPL_DEBUG", "CPL_LOG"),
)
"""Beginnings of those that are about the network, memory and messages, not about what a file means."""

HIDES_SIDECARS = "CPL_VSIL_CURL_ALLOWED_EXTENSIONS"


def is_foreign(name: str) -> bool:
    """Whether a variable leads GDAL or PROJ to the data of another program, or changes how files are read."""
    name = name.upper()
    return name == HIDES_SIDECARS or (name.startswith(OF_LIBRARIES) and not name.startswith(KEPT))


def drop_foreign(environ: MutableMapping[str, str]) -> None:
    """Delete such variables; has effect on libraries that are loaded afterwards."""
    for name in [name for name in environ if is_foreign(name)]:
        del environ[name]
