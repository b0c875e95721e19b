"""The set-up as a command: `python3 -m geoseg_plugin.engine.installer` does the same as the button in QGIS.

Standard library only. It prints what was found and what will be installed, then installs; other actions look after an
environment that is there, or save and use offline kits.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ..contract import GeoSegError
from .environment import default_root, find, stamp
from .setup.builds import BUILDS, named_build, propose
from .setup.finish import run_probe
from .setup.installation import Installation, problem_of
from .setup.kit import kit_platforms, save_kit
from .setup.machine import inspect_machine
from .setup.maintenance import check_files, clear_cache, move, plan_of, remove, repair, sizes
from .setup.plan import Listener, Plan


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line of the command at once."""
    print(line, file=stream or sys.stdout, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the flags of the command."""
    found = argparse.ArgumentParser(description="Set up the environment of the GeoSeg engine.")
    found.add_argument("--root", type=Path, help="folder of the environment")
    found.add_argument(
        "--build",
        default="",
        choices=("auto", "gpu", *BUILDS),
        help="build of PyTorch; auto follows the machine",
    )
    found.add_argument("--device", choices=("cpu", "gpu"), help=argparse.SUPPRESS)
    found.add_argument("--python", default="", help="interpreter to make it from")
    found.add_argument(
        "--tool",
        choices=("auto", "uv", "pip"),
        default="auto",
        help="what installs; auto takes uv where it runs",
    )
    found.add_argument("--without-richdem", action="store_true")
    found.add_argument("--zoo", action="store_true", help="also the networks of segmentation-models-pytorch")
    found.add_argument("--openvino", action="store_true", help="also OpenVINO, to predict on a CPU")
    found.add_argument("--dev", action="store_true", help="also what the engine's tests need")
    action = found.add_mutually_exclusive_group()
    action.add_argument(
        "--from-kit", type=Path, metavar="FOLDER", help="install from an offline kit, without a network"
    )
    action.add_argument("--save-kit", type=Path, metavar="FOLDER", help="save an offline kit for --platform")
    action.add_argument(
        "--plan", action="store_true", help="print what was found and what would be installed"
    )
    action.add_argument(
        "--check",
        action="store_true",
        help="compare every file with its record, and let the engine prove itself",
    )
    action.add_argument("--repair", action="store_true", help="install damaged or incomplete packages again")
    action.add_argument(
        "--remove", action="store_true", help="remove the environment and all that belongs to it"
    )
    action.add_argument("--clear-cache", action="store_true", help="remove what was downloaded")
    action.add_argument(
        "--move", type=Path, metavar="FOLDER", help="move the environment to another folder or disk"
    )
    action.add_argument("--size", action="store_true", help="print how large the environment is")
    found.add_argument(
        "--platform", default="", help="for --save-kit, e.g. windows-x86_64-cu130; empty lists them"
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        options.root = (options.root or default_root()).expanduser().absolute()
        return _action(options)(options)
    except GeoSegError as error:
        say(f"{error.message} {error.hint}\n{error.details}".strip(), sys.stderr)
        return 1
    except OSError as error:
        problem = problem_of(error, options.root or Path())
        say(f"{problem.message} {problem.hint}", sys.stderr)
        return 1


def _action(options: argparse.Namespace) -> Callable[[argparse.Namespace], int]:
    actions = {
        "save_kit": _save_kit,
        "plan": _print_plan,
        "check": _check,
        "repair": _repair,
        "remove": _remove,
        "clear_cache": _clear_cache,
        "move": _move,
        "size": _print_size,
    }
    return next((action for name, action in actions.items() if getattr(options, name)), _install)


def plan_of_options(options: argparse.Namespace) -> Plan:
    """Return the plan that the flags ask for. An environment that is there keeps its build unless another is named."""
    former = {"cpu": "cpu", "gpu": "gpu", None: ""}[options.device]
    return Plan(
        options.root,
        options.build or former or named_build() or plan_of(options.root).build,
        options.python,
        not options.without_richdem,
        options.dev,
        options.zoo,
        options.openvino,
        options.from_kit,
        options.tool,
    )


def _listener() -> Listener:
    return Listener(on_line=say)


def _print_plan(options: argparse.Namespace) -> int:
    """Print the machine and the proposal. Returns 1 where nothing can be installed."""
    machine = inspect_machine()
    proposal = propose(machine, plan_of_options(options).build)
    say(f"Machine: {machine.system} {'.'.join(map(str, machine.os_version))}, {machine.processor}")
    for card in machine.cards:
        say(f"Card: {card}")
    if proposal.build is None:
        for problem in proposal.problems:
            say(f"{problem.message} {problem.hint}")
        return 1
    say(f"Build: {proposal.build.key} (torch {proposal.build.torch}). {proposal.reason}")
    if proposal.advice:
        say(proposal.advice)
    say(
        f"Download about {proposal.download_mb} MB, on the disk about {proposal.disk_mb} MB;"
        f" {proposal.free_needed_mb} MB must be free. About {proposal.minutes} minutes at 50 Mbit/s."
    )
    say(f"Folder: {options.root}")
    return 0


def _install(options: argparse.Namespace) -> int:
    if options.from_kit is None:
        _print_plan(options)
    environment = Installation(plan_of_options(options), _listener()).run()
    say(str(environment.python))
    return 0


def _save_kit(options: argparse.Namespace) -> int:
    if not options.platform:
        for item in kit_platforms():
            say(f"{item.key:28} {item.download_mb:6} MB  {item.title}")
        return 0
    say(str(save_kit(options.save_kit, options.platform, _listener())))
    return 0


def _check(options: argparse.Namespace) -> int:
    """Print what is wrong. Returns 1 if something is."""
    environment = find(options.root)
    if environment is None:
        say(f"There is no engine in {options.root}.", sys.stderr)
        return 1
    broken = check_files(options.root)
    for item in broken:
        say(f"{item.name} {item.version} is incomplete: {item.what}. Run this again with --repair.")
    probe = run_probe(environment.python, options.root / "check", lambda: False)
    say(f"Device: {probe.get('device_name') or probe.get('device')}")
    facts = stamp(environment)
    if facts.get("warning"):
        say(f"{facts['warning']} {facts.get('warning_hint', '')}")
    return 1 if broken else 0


def _repair(options: argparse.Namespace) -> int:
    say(str(repair(options.root, _listener()).python))
    return 0


def _remove(options: argparse.Namespace) -> int:
    remove(options.root)
    return 0


def _clear_cache(options: argparse.Namespace) -> int:
    clear_cache(options.root)
    return 0


def _move(options: argparse.Namespace) -> int:
    say(str(move(options.root, options.move, _listener()).python))
    return 0


def _print_size(options: argparse.Namespace) -> int:
    found = sizes(options.root)
    for name, size in (
        ("Environment", found.environment_bytes),
        ("Downloads", found.cache_bytes),
        ("Python and uv", found.python_bytes),
    ):
        say(f"{name}: {size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
