"""Write GeoPackages of a version that every QGIS we support reads without a warning."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas
import pyogrio
import pyproj
from pyogrio.errors import DataLayerError, DataSourceError
from pyogrio.util import vsi_path
from pyproj.enums import WktVersion

from ..outputs import write_error

VERSION = "1.2"
"""The GDAL of older QGIS packages calls anything newer than 1.3 partially supported; 1.2 is sufficient."""


class WholeCRS(pyproj.CRS):
    """A CRS that is written as WKT 2 whatever version is requested.

    pyogrio requests WKT 1, which holds no rotated pole, and accepts a registered CRS that is only similar.
    """

    def to_epsg(self, min_confidence: int = 100) -> int | None:
        """Return the code of exactly this CRS."""
        return super().to_epsg(max(min_confidence, 100))

    def to_wkt(self, version: object = None, pretty: bool = False, **options: bool | None) -> str:
        """Return WKT 2, whatever the arguments."""
        return super().to_wkt(WktVersion.WKT2_2019, pretty)


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
        append: add to an existing file: features to the same layer, or another layer.
        geometry_type: declared type of the layer; None is the features' own.

    Raises:
        GeoSegError: `disk_full`, `not_writable`, `write_failed`.
    """
    frame = frame.set_crs(WholeCRS(frame.crs), allow_override=True)
    try:
        with _plainly_named(path) as plain:
            pyogrio.write_dataframe(
                frame,
                plain,
                layer=layer,
                driver="GPKG",
                append=append,
                geometry_type=geometry_type,
                dataset_options=None if append else {"VERSION": VERSION},
            )
        _check_indexed(path, layer, bool(len(frame)))
    except (DataLayerError, DataSourceError, sqlite3.Error) as error:
        raise write_error(path, error) from error


def _check_indexed(path: Path, layer: str, has_features: bool) -> None:
    """Raise if GDAL lost the spatial index on closing the file, which it does not report.

    Raises:
        GeoSegError: `disk_full`, `write_failed`.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        found = database.execute(
            "SELECT 1 FROM gpkg_extensions WHERE table_name = ? AND extension_name = 'gpkg_rtree_index'",
            (layer,),
        ).fetchone()
    if has_features and found is None:
        raise write_error(path, OSError("its spatial index is missing"))


@contextmanager
def _plainly_named(path: Path) -> Iterator[Path]:
    """A file for pyogrio to write: under a name of its own where it would read another one out of the path.

    pyogrio treats the part before `!` as an archive, and drops the part after `;`.
    """
    if vsi_path(str(path)) == str(path):
        yield path
        return
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "layers.gpkg"
        if path.exists():
            shutil.move(path, plain)
        yield plain
        shutil.move(plain, path)
