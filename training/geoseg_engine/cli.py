"""The shell command `geoseg`: run a job.json, or the same job from flags.

Flags are made from the job's own fields, so the shell can do what QGIS can and nothing drifts:
scalars are `--tile-px 64`, everything structured is JSON (`--labels '{"path": "a.gpkg"}'`).
Sources have a short form: `--sources a.tif b.tif`; bands left out are all bands of all sources. `predict` finds the
model's slot of each by name and bands, whatever their order; the JSON form names the slot (`{"key": "r2", …}`).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing
from pathlib import Path
from typing import Any

from . import __version__
from .channel import Channel
from .contract import JOB_FILE, JOBS, PROTOCOL, GeoSegError, Job, job_from_json, job_to_json, write_json
from .run import run_file


def main(arguments: list[str] | None = None) -> int:
    """Parse, write the job folder, run. Returns the exit code."""
    options = parser().parse_args(arguments)
    if options.command == "run":
        job_file = Path(options.job_file)
    else:
        try:
            job_file = write_job(options)
        except GeoSegError as error:
            print(f"geoseg: {error.message} {error.hint}", file=sys.stderr)  # noqa: T201
            return 1
    folder = job_file.resolve().parent
    try:
        channel = Channel.guarding_stdout(folder)
    except OSError as error:
        print(f"geoseg: the job folder {folder} cannot be written to: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return run_file(job_file, channel)


def parser() -> argparse.ArgumentParser:
    """One subcommand a job, and `run`."""
    top = argparse.ArgumentParser(
        prog="geoseg", description="Train and apply segmentation models on geodata."
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a job.json")
    run.add_argument("job_file")
    for kind, job in JOBS.items():
        doc = (job.__doc__ or "").strip()
        command = commands.add_parser(
            kind,
            help=doc.splitlines()[0],
            description=doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--job-folder", default=".", help="folder for job.json, events and relative outputs"
        )
        for field in dataclasses.fields(job):
            add_flag(command, job, field)
    return top


def add_flag(command: argparse.ArgumentParser, job: type[Job], field: dataclasses.Field[Any]) -> None:
    """One flag for one field of a job."""
    hint = typing.get_type_hints(job)[field.name]
    flag = "--" + field.name.replace("_", "-")
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if field.name in ("sources", "dem"):
        command.add_argument(
            flag,
            nargs="+" if field.name == "sources" else None,
            default=argparse.SUPPRESS,
            required=required,
            metavar="RASTER",
            help="file, or JSON of a source",
        )
    elif field.name == "bands":
        command.add_argument(flag, default=argparse.SUPPRESS, metavar="JSON", help="left out: all bands")
    elif hint is bool:
        command.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS)
    elif hint in (int, float, str):
        command.add_argument(flag, type=hint, required=required, default=argparse.SUPPRESS)
    else:
        command.add_argument(flag, required=required, default=argparse.SUPPRESS, metavar="JSON or TEXT")


def write_job(options: argparse.Namespace) -> Path:
    """Turn flags into a job.json in the job folder. Files named on the command line become absolute.

    Raises:
        GeoSegError: `bad_json` or `bad_flag` for flags that make no job.
    """
    values = {key: value for key, value in vars(options).items() if key not in ("command", "job_folder")}
    prefix = "given" if options.command == "predict" else "r"
    hints = typing.get_type_hints(JOBS[options.command])
    data = {key: _value(key, value, prefix, hints[key]) for key, value in values.items()}
    if options.command in ("stack", "check") and "bands" not in data:
        from .raster.sources import all_bands

        data["bands"] = all_bands(data["sources"])
    folder = Path(options.job_folder)
    folder.mkdir(parents=True, exist_ok=True)
    job = job_from_json({"protocol": PROTOCOL, "kind": options.command, "job": data})
    job_file = folder / JOB_FILE
    write_json(job_file, job_to_json(job))
    return job_file


def _value(key: str, value: Any, prefix: str, hint: Any) -> Any:
    """The value of a job's field. `prefix` numbers the sources; for `predict` it is no model's, so names decide."""
    if key == "sources":
        return [_source(text, f"{prefix}{index + 1}") for index, text in enumerate(value)]
    if key == "dem":
        return _source(value, "dem")
    if isinstance(value, str) and value.startswith(("[", "{")):
        return _absolute_paths(_json(key, value))
    if key == "labels" and hint is not str:  # polygons, not the label raster of `tile`
        return {"path": os.path.abspath(value)}  # noqa: PTH100
    if isinstance(value, str) and value and Path(value).exists():
        return str(Path(value).resolve())
    return value


def _source(text: str, key: str) -> dict[str, Any]:
    if text.startswith("{"):
        data: dict[str, Any] = _absolute_paths(_json("sources", text))
        return data
    path = str(Path(text).resolve()) if Path(text).exists() else text
    return {"key": key, "path": path, "name": Path(text).stem}


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise GeoSegError(
            "bad_flag", f"--{key} is not valid JSON: {error}.", "Quote it for the shell."
        ) from error


def _absolute_paths(data: Any) -> Any:
    if isinstance(data, dict) and data.get("path") and Path(data["path"]).exists():
        return {**data, "path": str(Path(data["path"]).resolve())}
    return data
