"""The shell command `geoseg`: run a job.json, or the same job from flags.

Flags are made from the job's own fields, so the shell can do what QGIS can and nothing drifts; `cli_flags` says how
they are written. Bands left out are all bands of all sources. `predict` finds the model's slot of each source by name
and bands, whatever their order; the JSON form names the slot (`{"key": "r2", …}`).

At a terminal the answer is sentences and a line of progress; into a pipe, or with `--json`, one event a line.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import typing
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import __version__
from .channel import Channel
from .cli_flags import absolute, inner, metavar, settings, source_of, sources_of, takes_several, value_of
from .cli_help import description, flag_help
from .cli_terminal import Sentences
from .contract import (
    JOB_FILE,
    JOBS,
    PROTOCOL,
    GeoSegError,
    Job,
    Source,
    default_of,
    encode,
    former_names,
    job_from_json,
    job_to_json,
    names_input,
    params_of,
    types_of,
    write_json,
)
from .run import EXIT_FAILED, guarding_errors, run_file

OF_THE_SHELL = ("command", "job_folder", "json")
"""Flags that are no field of a job."""
OTHER_FLAGS = {"sources": ("rasters",)}
"""Field -> further names of its flag."""


def main(arguments: list[str] | None = None) -> int:
    """Parse, write the job folder, run. Returns the exit code."""
    options = parser().parse_args(arguments)
    given = options.command == "run"
    folder = Path(options.job_file).resolve().parent if given else Path(options.job_folder).resolve()
    if not given:
        with suppress(OSError):  # then no event can be recorded there, and that is said
            folder.mkdir(parents=True, exist_ok=True)
    channel = Channel.guarding_stdout(folder, Sentences if sentences_wanted(options.json) else None)
    try:
        channel.check_recorded()
        with guarding_errors():
            job_file = Path(options.job_file) if given else write_job(options)
    except GeoSegError as error:
        channel.fail(error)
        return EXIT_FAILED
    return run_file(job_file, channel)


def sentences_wanted(as_json: bool) -> bool:
    """Whether a person reads the answer."""
    return not as_json and sys.stdout.isatty()


def parser() -> argparse.ArgumentParser:
    """One subcommand a job, and `run`."""
    top = argparse.ArgumentParser(
        prog="geoseg", description="Train and apply segmentation models on geodata."
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a job.json")
    run.add_argument("job_file")
    add_json(run)
    for kind, job in JOBS.items():
        text = description(job)
        command = commands.add_parser(kind, help=text.partition("\n")[0], description=text)
        command.add_argument(
            "--job-folder", default=".", help="folder for job.json, events and relative outputs"
        )
        add_json(command)
        for field in dataclasses.fields(job):
            add_flag(command, job, field)
    return top


def add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="events as JSON also at a terminal")


def add_flag(command: argparse.ArgumentParser, job: type[Job], field: dataclasses.Field[Any]) -> None:
    """Add the flag of a field, and its former names, which are read but not shown."""
    given = types_of(job)[field.name]
    hint = inner(given) if inner(given) in (bool, int, float) else given
    required = default_of(job, field.name) is dataclasses.MISSING
    required = required and not (field.name == "bands" and "sources" in types_of(job))
    words = flag_help(job, field.name)
    add_argument(command, field.name, hint, required, words)
    for old in params_of(job)[field.name].was:
        add_argument(command, old, hint, False, argparse.SUPPRESS)


def add_argument(command: argparse.ArgumentParser, name: str, hint: Any, required: bool, words: str) -> None:
    """Add one flag for values of a type.

    Args:
        command: parser of the job's command.
        name: of the field.
        hint: its type.
        required: whether the command needs it.
        words: help of the flag.
    """
    flags = ["--" + text.replace("_", "-") for text in (name, *OTHER_FLAGS.get(name, ()))]
    if hint is bool:
        action = argparse.BooleanOptionalAction
        command.add_argument(*flags, action=action, default=argparse.SUPPRESS, help=words)
    elif hint in (int, float, str):
        command.add_argument(
            *flags,
            type=hint,
            required=required,
            default=argparse.SUPPRESS,
            metavar=metavar(hint),
            help=words,
        )
    else:
        rasters = Source in typing.get_args(hint)
        raster = hint is Source or rasters
        written = "files, or JSON of each" if rasters else settings(hint)
        command.add_argument(
            *flags,
            nargs="+" if raster or takes_several(hint) else None,
            required=required,
            default=argparse.SUPPRESS,
            metavar="RASTER" if raster else metavar(hint),
            help=words
            if words == argparse.SUPPRESS
            else "; ".join(text for text in (words, written) if text),
        )


def write_job(options: argparse.Namespace) -> Path:
    """Turn flags into a job.json in the job folder. Files to read become absolute; results stay in the job folder.

    Raises:
        GeoSegError: `bad_json` or `bad_flag` for flags that make no job; as `open_source` where all bands of the
            sources are meant.
    """
    values = {key: value for key, value in vars(options).items() if key not in OF_THE_SHELL}
    hints = {**types_of(JOBS[options.command])}
    hints |= {old: hints[new] for old, new in former_names(JOBS[options.command]).items()}
    data = {key: _value(options.command, key, value, hints[key]) for key, value in values.items()}
    data |= {key: with_defaults(JOBS[options.command], key, value) for key, value in data.items()}
    if "bands" in hints and "bands" not in data and "sources" in data:
        from .raster.sources import all_bands

        data["bands"] = all_bands(data["sources"])
    folder = Path(options.job_folder)
    folder.mkdir(parents=True, exist_ok=True)
    job = job_from_json({"protocol": PROTOCOL, "kind": options.command, "job": data})
    job_file = folder / JOB_FILE
    write_json(job_file, job_to_json(job))
    return job_file


def with_defaults(job: type[Job], name: str, value: Any) -> Any:
    """Return the value of a field; of a job inside a job what is not written keeps its default.

    Args:
        job: class of the job.
        name: of the field, or its former name.
        value: as plain data.
    """
    default = default_of(job, former_names(job).get(name, name))
    return {**encode(default), **value} if isinstance(default, Job) and isinstance(value, dict) else value


def _value(command: str, key: str, value: Any, hint: Any) -> Any:
    """The value of a job's field. Sources of `predict` get keys that are no model's, so that names decide."""
    if key == "sources":
        return sources_of(key, value, "given" if command == "predict" else "r")
    if hint is Source and len(value) == 1:
        return source_of(key, value[0], key)
    if hint is str:
        return absolute(value) if names_input(key, command) else value
    return value_of(key, hint, value if isinstance(value, list) else [value]) if not _plain(value) else value


def _plain(value: Any) -> bool:
    """What argparse has converted already."""
    return isinstance(value, (bool, int, float))
