"""Write GeoPackages of a version that every QGIS we support reads without a remark."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from ..outputs import write_error

VERSION = "1.2"
"""The GDAL of older QGIS packages calls anything newer than 1.3 partially supported; 1.2 holds all we write."""


def write_layer(
    frame: geopandas.GeoDataFrame,
    path: Path,
    layer: str,
    append: bool = False,
    geometry_type: str | None = None,
) -> None:
    """Write features as a layer of a GeoPackage.

    Args:
        frame: features with their CRS.
        path: file; made anew unless `append`.
        layer: its name.
        append: add to a file that is there: features to the same layer, or another layer.
        geometry_type: declared type of the layer; None takes the features' own.

    Raises:
        GeoSegError: `disk_full`, `not_writable`, `write_failed`.
    """
    try:
        pyogrio.write_dataframe(
            frame,
            path,
            layer=layer,
            driver="GPKG",
            append=append,
            geometry_type=geometry_type,
            dataset_options=None if append else {"VERSION": VERSION},
        )
    except (DataLayerError, DataSourceError) as error:
        raise write_error(path, error) from error
