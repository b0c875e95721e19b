"""Checks of a job's outputs: never over a file that it reads, and only under a name with the right suffix."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioIOError

from .contract import POLYGONS, RECIPE_SUFFIX, GeoSegError, Job, params_of, split_address
from .stacking.recipes import read_recipe

STYLES = {"layer_styles": "styleQML"}
"""Stands in a GeoPackage beside the layers that it is about."""


def check_outputs(job: Job, folder: Path) -> None:
    """Raise if a result would replace an input of the job, or has a name that does not fit.

    Raises:
        GeoSegError: `would_overwrite`, `bad_name`, `same_name`.
    """
    check_same_name(job, folder)
    written = output_files(job)
    for name, suffixes in written.items():
        if suffixes and not name.lower().endswith(suffixes):
            raise GeoSegError(
                "bad_name",
                f"The result {name} cannot be written under this name.",
                f"Choose a name that ends in {' or '.join(suffixes)}.",
            )
    check_overwriting(list(written), list(input_files(job, folder)), folder)
    check_other_layers(job, folder)


def check_same_name(job: Job, folder: Path) -> None:
    """Raise if two results of a job would be written to one file.

    Raises:
        GeoSegError: `same_name`.
    """
    taken: dict[Path, str] = {}
    for field in result_fields(job):
        if name := getattr(job, field, ""):
            other = taken.setdefault((folder / name).resolve(), field)
            if other != field:
                raise GeoSegError(
                    "same_name",
                    f"Two results, {other} and {field}, would both be written to {name}.",
                    "Give each a name of its own.",
                )


def check_overwriting(written: list[str], read: list[str], folder: Path) -> None:
    """Raise if a file to write is a file to read, be it behind a VRT; names are relative to `folder`.

    Raises:
        GeoSegError: `would_overwrite`.
    """
    named = [file for text in read for file in files_in(text, folder)]
    sources = [*named, *(file for path in named for file in behind(path))]
    for name in written:
        path = folder / name
        if path.is_file() and any(path.samefile(file) for file in sources):
            raise GeoSegError(
                "would_overwrite",
                f"The result {name} would overwrite a file that it is made from.",
                "Choose another name or folder for the result.",
            )


def check_other_layers(job: Job, folder: Path) -> None:
    """Raise if a GeoPackage that the job would make anew holds a layer, map or table that is not of such a job.

    Raises:
        GeoSegError: `would_overwrite`.
    """
    ours = {**job.layers, **STYLES}
    for name in output_files(job):
        for layer, fields in tables_in(folder / name).items():
            if ours.get(layer) not in fields:
                raise GeoSegError(
                    "would_overwrite",
                    f"The result {name} would replace a GeoPackage that holds '{layer}', which is not of this job.",
                    "Choose another name for the result.",
                )


def tables_in(path: Path) -> dict[str, set[str]]:
    """Layers, maps and tables of a GeoPackage with their fields; none for any other file, or where there is none."""
    if path.suffix.lower() not in POLYGONS or not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            names = [str(row[0]) for row in database.execute("SELECT table_name FROM gpkg_contents")]
            fields = "SELECT name FROM pragma_table_info(?)"
            return {name: {str(row[0]) for row in database.execute(fields, (name,))} for name in names}
    except sqlite3.DatabaseError:
        return {}


def output_files(job: Job) -> dict[str, tuple[str, ...]]:
    """Each file that a job is to write -> the suffixes it may have; none where any will do."""
    if getattr(job, "dry_run", False):
        return {}
    fields = result_fields(job)
    if fields:
        return {name: suffixes for field, suffixes in fields.items() if (name := getattr(job, field, ""))}
    return {str(Path(getattr(job, "output", ".")) / name): () for name in job.leaves}


def result_fields(job: Job) -> dict[str, tuple[str, ...]]:
    """Fields of a job that name a file to write -> the suffixes it may have; none for jobs that fill a folder."""
    return {name: param.writes for name, param in params_of(type(job)).items() if param.writes is not None}


def input_files(job: Job, folder: Path) -> Iterator[str]:
    """Names of all that a job reads; of a recipe also the rasters that it is made of."""
    for text in _inputs(job):
        yield text
        if text.endswith(RECIPE_SUFFIX) and (folder / text).is_file():
            for source in read_recipe(folder / text).sources:
                yield from (source.path, *source.paths)


def files_in(text: str, folder: Path) -> list[Path]:
    """The files on disk that a path or a GDAL dataset name such as `GPKG:a.gpkg:dem` is about."""
    parts = [text, split_address(text)[0], text.partition(":")[2], *text.split(":")]
    paths = [folder / part.strip('"') for part in parts if part]
    try:
        return [path for path in paths if path.is_file()]
    except (OSError, ValueError):  # text that no file can be named
        return []


def behind(path: Path) -> list[Path]:
    """The rasters that a VRT is made of, those behind VRTs in it too; none for other files and for a damaged one."""
    found: list[Path] = []
    waiting = [path]
    while waiting:
        vrt = waiting.pop()
        if vrt.suffix.lower() != ".vrt":
            continue
        try:
            with rasterio.open(vrt) as dataset:
                files = [Path(name) for name in dataset.files]
        except RasterioIOError:
            continue
        new = [
            file for file in files if file not in (path, *found) and file.is_file() and file.suffix != ".xml"
        ]
        found += new
        waiting += new
    return found


def _inputs(value: Any) -> Iterator[str]:
    if isinstance(value, tuple):
        for item in value:
            yield from _inputs(item)
    elif dataclasses.is_dataclass(value):
        params = params_of(type(value))
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            if isinstance(inner, str):
                if inner and field.name in params and params[field.name].reads:
                    yield inner
            elif field.name == "paths":
                yield from inner
            else:
                yield from _inputs(inner)
