"""Result files -> styled layers in one group on top of the layer tree. Main thread.

Everything is loaded from disk by absolute path. Styles are saved where they travel with the data: inside
a GeoPackage, as .qml beside a raster. Nothing below the new group is touched.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication

from ..contract import Dataset, GeoSegError, LabelClass, decode, read_json, split_address
from . import styles
from .notes import describe, evaluation_notes, prediction_notes, tiles_notes
from .results import RESULT_MARK, SHOWN, WRITTEN

Style = Callable[[Any], None]
Later = Callable[[Callable[[], None]], None]
"""Runs an action now or when the main thread has time; a layer takes several."""

PLAIN_STYLE = '<qgis><pipe><rasterrenderer type="singlebandgray" grayBand="1"/></pipe></qgis>'
"""The shortest style of a raster that QGIS accepts."""


def at_once(action: Callable[[], None]) -> None:
    """Run an action now."""
    action()


def tr(text: str) -> str:
    return QCoreApplication.translate("publish", text)


@dataclass(frozen=True)
class Item:
    """One layer to publish.

    Attributes:
        path: file; with `layer`, of that layer inside it.
        name: as shown in the layer tree.
        style: draws it.
        layer: layer name inside a GeoPackage; empty for rasters.
        visible: whether its box is ticked.
        expanded: whether its legend is open.
        keeps_style: whether its style and facts are saved with its file.
        is_result: whether it is no input for a model: the answer, or made from it.
    """

    path: Path
    name: str
    style: Style
    layer: str = ""
    visible: bool = True
    expanded: bool = True
    keeps_style: bool = True
    is_result: bool = True


def publish_prediction(
    folder: Path,
    result: Mapping[str, Any],
    title: str = "",
    project: QgsProject | None = None,
    later: Later = at_once,
) -> QgsLayerTreeGroup:
    """Show a prediction: polygons, out-of-range inputs, classes, and below them the layers of confidence.

    Args:
        folder: prediction folder; relative paths of `result` start there.
        result: of the engine's `predict`.
        title: name of the group; `Prediction <folder name>` by default.
        project: the current one by default.
        later: runs the loading of each layer; the group is returned at once.
    """
    classes = classes_from(result)
    located = [_located(item, folder, result) for item in prediction_items(classes)]
    items = [item for item in located if item is not None]
    notes = prediction_notes(folder, result)
    return publish(items, title or tr("Prediction {}").format(folder.name), notes, project, later)


def prediction_items(classes: tuple[LabelClass, ...]) -> list[Item]:
    """What a prediction can consist of, from top to bottom; `path` is the key in the result."""
    return [
        Item(
            Path("polygons"),
            tr("Polygons"),
            lambda layer: styles.style_polygons(layer, classes),
            "polygons",
        ),
        Item(Path("beyond"), tr("Beyond training"), styles.style_beyond, visible=False, expanded=False),
        Item(Path("output"), tr("Classes"), lambda layer: styles.style_classes(layer, classes)),
        *(
            Item(Path(key), name, style, visible=False, expanded=False)
            for key, name, style in (
                ("confidence", tr("Confidence"), styles.style_confidence),
                ("margin", tr("Margin"), styles.style_confidence),
                ("entropy", tr("Entropy"), styles.style_entropy),
                ("disagreement", tr("Disagreement"), styles.style_disagreement),
                ("probability", tr("Class probabilities"), styles.style_confidence),
            )
        ),
    ]


def publish_tiles(
    dataset_folder: Path, title: str = "", project: QgsProject | None = None, later: Later = at_once
) -> QgsLayerTreeGroup:
    """Show a dataset: tiles by split, split blocks, label raster and stack, the last two unticked.

    Args:
        dataset_folder: of the dataset.
        title: of the group; empty is the name of the folder.
        project: gets the layers; None is the current one.
        later: runs an action in one of the next turns of the event loop.

    Raises:
        GeoSegError: `file_missing`, `bad_json` if dataset.json is missing or broken.
    """
    dataset = read_dataset(dataset_folder)
    items = [
        Item(dataset_folder / dataset.tiles, tr("Tiles"), styles.style_tiles, "tiles"),
        Item(dataset_folder / dataset.tiles, tr("Split blocks"), styles.style_blocks, "blocks", False, False),
        Item(
            dataset_folder / dataset.labels,
            tr("Labels"),
            lambda layer: styles.style_classes(layer, dataset.classes),
            visible=False,
            expanded=False,
        ),
    ]
    if dataset.stack:
        items.append(
            Item(
                dataset_folder / dataset.stack,
                tr("Stack"),
                styles.style_stack,
                visible=False,
                expanded=False,
                is_result=False,
            )
        )
    notes = tiles_notes(dataset_folder, dataset)
    return publish(items, title or tr("Tiles {}").format(dataset.name), notes, project, later)


def publish_evaluation(
    folder: Path,
    result: Mapping[str, Any],
    title: str = "",
    project: QgsProject | None = None,
    later: Later = at_once,
    group: QgsLayerTreeGroup | None = None,
) -> QgsLayerTreeGroup:
    """Show where the map is right and wrong on held-out data; in `group` if it is given.

    Args:
        folder: of the evaluation.
        result: of its job.
        title: of the group; empty is the name of the folder.
        project: gets the layers; None is the current one.
        later: runs an action in one of the next turns of the event loop.
        group: gets the layers; None makes one.
    """
    kind = str(result.get("errors_kind", ""))
    path = folder / str(result["errors"])
    items = [Item(path, tr("Errors"), lambda layer: styles.style_errors(layer, kind))]
    return publish(
        items,
        title or tr("Evaluation {}").format(folder.name),
        evaluation_notes(folder, result),
        project,
        later,
        group,
    )


def publish(
    items: list[Item],
    title: str,
    notes: Mapping[str, str],
    project: QgsProject | None = None,
    later: Later = at_once,
    group: QgsLayerTreeGroup | None = None,
) -> QgsLayerTreeGroup:
    """One group on top of the tree with these layers, the first one uppermost.

    With `group` they come to the top of that one. A file that is missing or holds no such layer is left out.
    Returns the group.

    Args:
        items: from top to bottom.
        title: of the group.
        notes: name -> text, written into the metadata of each layer.
        project: gets the layers; None is the current one.
        later: runs an action in one of the next turns of the event loop.
        group: gets the layers; None makes one.
    """
    project = project or QgsProject.instance()
    at_top = group is not None
    group = group or project.layerTreeRoot().insertGroup(0, title)
    for number, item in enumerate(items):
        for step in Arrival(item, group, project, notes, title, number if at_top else -1).steps:
            later(step)
    return group


def group_of(place: Path, project: QgsProject | None = None) -> QgsLayerTreeGroup | None:
    """The group with a layer from a folder (or of a file); None if there is none.

    Args:
        place: folder of a result.
        project: with the groups.
    """
    inside = place.resolve()
    for group in (project or QgsProject.instance()).layerTreeRoot().findGroups():
        layers = [node.layer() for node in group.findLayers()]
        files = [Path(split_address(layer.source())[0]) for layer in layers if layer is not None]
        if any(file == inside or inside in file.parents for file in files):
            return group
    return None


class Arrival:
    """One layer on its way to the map, in steps that each hold QGIS up only briefly."""

    def __init__(
        self,
        item: Item,
        group: QgsLayerTreeGroup,
        project: QgsProject,
        notes: Mapping[str, str],
        title: str,
        place: int = -1,
    ) -> None:
        self._place = place
        self._item, self._group, self._project = item, group, project
        self._notes, self._title = notes, title
        self._layer: QgsMapLayer | None = None
        steps = [partial(self._with_layer, step) for step in self._on_layer()]
        self.steps: list[Callable[[], None]] = [self._open, *steps]

    def _on_layer(self) -> list[Callable[[QgsMapLayer], None]]:
        item, title = self._item, f"{self._title}: {self._item.name}"
        return [
            item.style,
            lambda layer: describe(layer, title, self._notes, item.keeps_style),
            lambda layer: save_style(layer, item),
            self._show,
        ]

    def _open(self) -> None:
        if not sip.isdeleted(self._group):
            self._layer = open_layer(self._item)

    def _with_layer(self, step: Callable[[QgsMapLayer], None]) -> None:
        if self._layer is not None and not sip.isdeleted(self._group):
            step(self._layer)

    def _show(self, layer: QgsMapLayer) -> None:
        self._layer = None
        layer.setCustomProperty(RESULT_MARK, SHOWN)
        self._project.addMapLayer(layer, False)
        node = self._group.insertLayer(self._place, layer)
        node.setItemVisibilityChecked(self._item.visible)
        node.setExpanded(self._item.expanded)


def style_file(item: Item, notes: Mapping[str, str]) -> bool:
    """Save the style and facts of a result with its file, so that QGIS draws it so wherever it is loaded.

    Returns False if there is no such layer.

    Args:
        item: file and style.
        notes: name -> text, written beside the file.
    """
    layer = open_layer(item)
    if layer is None:
        return False
    item.style(layer)
    describe(layer, item.name, notes)
    save_style(layer, item)
    return True


def open_layer(item: Item) -> QgsMapLayer | None:
    """The layer of an item from its absolute path; None if there is no such layer.

    A raster without a style file is given a plain one first: without any, QGIS reads its pixels, many bands of
    them on the main thread, to find a stretch that ours replaces at once.
    """
    path = item.path.resolve()
    if not path.exists():
        return None
    if item.layer:
        layer: QgsMapLayer = QgsVectorLayer(f"{path}|layername={item.layer}", item.name, "ogr")
    else:
        style = path.with_suffix(".qml")
        if not style.exists():
            with contextlib.suppress(OSError):
                style.write_text(PLAIN_STYLE, "utf-8")
        layer = QgsRasterLayer(str(path), item.name, "gdal")
    return layer if layer.isValid() else None


def save_style(layer: QgsMapLayer, item: Item) -> None:
    """Keep the style with the data, and that it is a result: in the GeoPackage, or as .qml beside the raster.

    Args:
        layer: with the style.
        item: file of the layer.
    """
    if not item.keeps_style:
        return
    if item.is_result:
        layer.setCustomProperty(RESULT_MARK, WRITTEN)
    if isinstance(layer, QgsVectorLayer):
        save = getattr(layer, "saveStyleToDatabaseV2", None) or layer.saveStyleToDatabase
        save(item.layer, tr("Written by GeoSeg"), True, "")
    else:
        layer.saveNamedStyle(str(item.path.resolve().with_suffix(".qml")))


def classes_from(result: Mapping[str, Any]) -> tuple[LabelClass, ...]:
    """The classes of an engine result."""
    return tuple(decode(LabelClass, dict(item)) for item in result.get("classes", ()))


def read_dataset(folder: Path) -> Dataset:
    """dataset.json of a folder.

    Raises:
        GeoSegError: `file_missing` or `bad_json`.
    """
    path = folder / "dataset.json"
    try:
        return read_json(Dataset, path)
    except OSError as error:
        raise GeoSegError(
            "file_missing", f"{path} cannot be read: {error.strerror}.", "Make the tiles again."
        ) from error
    except json.JSONDecodeError as error:
        raise GeoSegError(
            "bad_json", f"{path} is not valid JSON: {error}.", "Make the tiles again."
        ) from error


def _located(item: Item, folder: Path, result: Mapping[str, Any]) -> Item | None:
    path = result.get(item.path.name)
    if not path:
        return None
    return Item(folder / str(path), item.name, item.style, item.layer, item.visible, item.expanded)
