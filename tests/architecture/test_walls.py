"""Who may import whom: read from the syntax trees, so nothing has to be installed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from sources import ENGINE, PLUGIN, for_each, imported, imports, name_of, place, python_files, tree

ENGINE_ONLY = {"torch", "rasterio", "geopandas", "shapely", "richdem", "onnxruntime", "onnx", "fiona", "pandas",
               "pyogrio", "pyproj", "scipy", "sklearn"}  # fmt: skip
MAY_IMPORT = {
    "paths": set(),
    "contract": {"paths"},
    "forms": {"paths", "contract"},
    "engine": {"paths", "contract"},
    "jobs": {"paths", "contract", "engine"},
    "records": {"paths", "contract", "engine", "jobs"},
    "tasks": {"paths", "contract", "engine", "jobs"},
    "layers": {"paths", "contract", "jobs"},
    "processing": {"paths", "contract", "forms", "engine", "jobs", "records", "tasks", "layers"},
    "panel": {"paths", "contract", "forms", "engine", "jobs", "records", "tasks", "layers"},
    "steps": {"paths", "contract", "forms", "engine", "jobs", "records", "tasks", "layers", "panel"},
    "plugin": {"paths", "contract", "forms", "engine", "jobs", "tasks", "layers", "processing", "panel"},
    "__init__": {"plugin"},
}
STEPS = {"data", "split", "train", "predict", "results", "engine"}
ASSEMBLY = PLUGIN / "panel" / "assembly.py"
"""The only module of the panel that knows the steps."""
ROOMS = (
    {"contract"},
    {"channel", "outputs", "versions"},
    {"raster"},
    {"vector"},
    {"bands"},
    {"stacking"},
    {"dataset"},
    {"device"},
    {"models"},
    {"modelfile", "scores"},
    {"output_checks", "probe", "report"},
    {"postprocess"},
    {"training", "prediction", "baselines"},
    {"evaluation"},
    {"experiments"},
    {"mapmaking"},
    {"run"},
    {"cli_flags", "cli_help", "cli_terminal"},
    {"cli"},
    {"__main__"},
)
"""Rooms of the engine from the ground up: each may import those before it, never one beside or after it."""
DATASET_ROOMS = (
    {"datasets", "subset", "labels"},
    {"split"},
    {"tile_index", "arcgis_chips"},
    {"tiles", "chips"},
    {"checks"},
)
"""The same inside `dataset`."""
WITHOUT_TORCH = {
    "contract",
    "channel",
    "outputs",
    "versions",
    "raster",
    "vector",
    "bands",
    "stacking",
    "dataset",
    "scores",
    "postprocess",
    "report",
}


def inner(module: str) -> str:
    """Part of the plugin that a module belongs to: `geoseg_plugin.jobs.train` is in `jobs`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@for_each(python_files(PLUGIN))
def test_the_plugin_keeps_the_engines_packages_out(file: Path) -> None:
    wrong = [place(file, item.line) for item in imports(file) if item.module.split(".")[0] in ENGINE_ONLY]
    assert wrong == []


@for_each(python_files(PLUGIN))
def test_only_the_contract_crosses_the_line(file: Path) -> None:
    crossing = [item for item in imports(file) if item.module.startswith("geoseg_engine")]
    if file == PLUGIN / "contract.py":
        crossing = [item for item in crossing if not item.module.startswith("geoseg_engine.contract")]
    assert [place(file, item.line) for item in crossing] == []


@for_each(python_files(PLUGIN))
def test_the_plugins_parts_import_downwards(file: Path) -> None:
    part = inner(name_of(file))
    assert part in MAY_IMPORT, f"{part} has no place in the plugin's order: add it to MAY_IMPORT"
    allowed = {part} | MAY_IMPORT[part] | ({"steps"} if file == ASSEMBLY else set())
    wrong = [
        f"{place(file, item.line)} imports {item.module}"
        for item in imports(file)
        if item.module.startswith("geoseg_plugin.") and inner(item.module) not in allowed
    ]
    assert wrong == []


def step_of(module: str) -> str:
    """Step that a module belongs to: `geoseg_plugin.steps.data.page` is in `data`; empty outside the steps."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 and parts[1] == "steps" else ""


@for_each(python_files(PLUGIN / "steps"))
def test_steps_never_import_steps(file: Path) -> None:
    step = step_of(name_of(file))
    assert step in STEPS | {""}
    wrong = [
        f"{place(file, item.line)} imports {item.module}"
        for item in imports(file)
        if step_of(item.module) not in {step, ""} or item.module == "geoseg_plugin.panel.assembly"
    ]
    assert wrong == []


def test_only_the_plugin_imports_the_assembly() -> None:
    graph = import_graph(PLUGIN)
    assembly = name_of(ASSEMBLY)
    assert {name for name, its in graph.items() if assembly in its} == {"geoseg_plugin.plugin"}


def test_states_of_steps_are_without_qt() -> None:
    graph = import_graph(PLUGIN)
    with_qt = {
        name_of(file)
        for file in python_files(PLUGIN)
        if any(item.module.split(".")[0] in ("qgis", "osgeo") for item in imports(file))
    }
    states = {f"geoseg_plugin.steps.{step}.state" for step in STEPS}
    assert states <= set(graph)
    assert {name: reached(name, graph) & with_qt for name in states} == {name: set() for name in states}


PAGES = [
    file
    for file in python_files(PLUGIN / "steps")
    if file.stem.endswith(("page", "window")) or file.parent.name == "widgets"
]


@for_each([*PAGES, *python_files(PLUGIN / "panel" / "widgets")])
def test_pages_know_widgets_only(file: Path) -> None:
    behind = ("geoseg_plugin.tasks", "geoseg_plugin.engine", "geoseg_plugin.panel.services")
    wrong = [item for item in imports(file) if item.module.startswith(behind) or ".controller" in item.module]
    assert [place(file, item.line) for item in wrong] == []


@for_each([file for part in ("engine", "jobs", "records") for file in python_files(PLUGIN / part)])
def test_engine_jobs_and_records_are_standard_library_only(file: Path) -> None:
    assert foreign(file, "geoseg_plugin") == []


@for_each(python_files(ENGINE / "contract"))
def test_the_contract_is_standard_library_only(file: Path) -> None:
    assert foreign(file, "geoseg_engine.contract") == []


def foreign(file: Path, own: str) -> list[str]:
    """Imports of a file that are neither of the standard library nor of the package `own`."""
    return [
        f"{place(file, item.line)} imports {item.module}"
        for item in imports(file)
        if item.module.split(".")[0] not in sys.stdlib_module_names
        and not f"{item.module}.".startswith(f"{own}.")
    ]


@for_each(python_files(ENGINE))
def test_the_engine_knows_neither_qgis_nor_the_plugin(file: Path) -> None:
    taboo = {"qgis", "PyQt5", "PyQt6", "geoseg_plugin", "osgeo", "torchvision"}
    assert [place(file, item.line) for item in imports(file) if item.module.split(".")[0] in taboo] == []


@for_each(python_files(PLUGIN))
def test_qt_comes_through_qgis(file: Path) -> None:
    taboo = ("PyQt5", "PyQt6", "PySide", "sip")
    assert [place(file, item.line) for item in imports(file) if item.module.startswith(taboo)] == []
    from_gui = [item for item in imports(file) if item.module == "qgis.PyQt.QtGui.QAction"]
    assert from_gui == [], "QAction comes from qgis.PyQt.QtWidgets in both Qt versions"


def import_graph(folder: Path) -> dict[str, set[str]]:
    """Module -> modules of the same package that it imports, those for type checking only too."""
    names = {name_of(file) for file in python_files(folder)} - {folder.name}
    return {
        name_of(file): {item.module for item in imports(file) if item.module in names}
        for file in python_files(folder)
    }


def engine_graph() -> dict[str, set[str]]:
    """Module -> modules of the engine that it imports."""
    return import_graph(ENGINE)


def reached(module: str, graph: dict[str, set[str]]) -> set[str]:
    """All modules that a module imports, directly or not, without the module itself."""
    found: set[str] = set()
    waiting = list(graph.get(module, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.get(name, ())
    return found


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import themselves by way of others."""
    return sorted(name for name in graph if name in reached(name, graph))


def test_no_import_circles() -> None:
    assert circles(import_graph(PLUGIN)) == []
    assert circles(import_graph(ENGINE)) == []


def test_imports_for_type_checking_count() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .other import Other\n"
    assert "package.other" in {item.module for item in imported(ast.parse(source), ["package"])}


def room(module: str) -> str:
    """Room of an engine module: `geoseg_engine.raster.grid` is in `raster`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_the_engines_rooms_import_downwards() -> None:
    floor = {name: number for number, rooms in enumerate(ROOMS) for name in rooms}
    wrong = [
        f"{name} imports {its}"
        for name, imported in engine_graph().items()
        for its in imported
        if room(name) != room(its) and room(name) and floor[room(its)] >= floor[room(name)]
    ]
    assert wrong == []


def test_the_rooms_of_the_dataset_import_downwards() -> None:
    floor = {name: number for number, rooms in enumerate(DATASET_ROOMS) for name in rooms}
    prefix = "geoseg_engine.dataset."
    inner_rooms = {
        name: name.removeprefix(prefix).split(".")[0] for name in engine_graph() if name.startswith(prefix)
    }
    wrong = [
        f"{name} imports {its}"
        for name, imported in engine_graph().items()
        for its in imported
        if name in inner_rooms
        and its in inner_rooms
        and inner_rooms[name] != inner_rooms[its]
        and floor[inner_rooms[its]] >= floor[inner_rooms[name]]
    ]
    assert wrong == []


def test_data_modules_know_nothing_of_networks() -> None:
    with_torch = {
        name_of(file)
        for file in python_files(ENGINE)
        if any(item.module.split(".")[0] == "torch" for item in imports(file))
    }
    assert [name for name in with_torch if room(name) in WITHOUT_TORCH] == []


DEVICES = {"cuda", "mps", "xpu", "accelerator", "hip"}


@for_each([file for file in python_files(ENGINE) if room(name_of(file)) != "device"])
def test_only_one_room_asks_torch_about_devices(file: Path) -> None:
    asked = [
        place(file, node.lineno)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute)
        and node.attr in DEVICES
        and isinstance(node.value, ast.Name)
        and node.value.id == "torch"
    ]
    named = [
        item for item in imports(file) if item.module.startswith(tuple(f"torch.{name}" for name in DEVICES))
    ]
    assert asked == [] and named == [], "ask a Device of geoseg_engine.device"


def test_nobody_imports_the_command() -> None:
    graph = engine_graph()
    allowed = {"geoseg_engine.run": {"geoseg_engine.cli"}, "geoseg_engine.cli": {"geoseg_engine.__main__"}}
    for module, by in allowed.items():
        assert {name for name, its in graph.items() if module in its} <= by
