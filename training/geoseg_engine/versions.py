"""Which versions of which packages are installed here, without importing them."""

from __future__ import annotations

from importlib import metadata

PACKAGES = (
    "numpy",
    "scipy",
    "rasterio",
    "shapely",
    "pyproj",
    "geopandas",
    "richdem",
    "scikit-learn",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime-gpu",
    "onnxruntime",
)
"""Those that decide a result."""


def installed_versions() -> dict[str, str]:
    """Version of each of PACKAGES that is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
