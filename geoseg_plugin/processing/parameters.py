"""Short ways to declare parameters, and to read back those that need more than one call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..contract import JOBS, RELIEF_ATTRIBUTES, TERRAIN_ATTRIBUTES, Problem, file_of_run, params_of
from ..forms.parameters import key_of
from ..layers.snapshot import value_bands

Parameters = Mapping[str, Any]
P = TypeVar("P", bound=QgsProcessingParameterDefinition)


def tr(text: str) -> str:
    return QCoreApplication.translate("processing", text)


def advanced(parameter: P) -> P:
    """The parameter in the folded part of the dialog."""
    parameter.setFlags(parameter.flags() | Qgis.ProcessingParameterFlag.Advanced)
    return parameter


def whole(
    key: str, title: str, default: int | None, low: int, high: int | None = None
) -> QgsProcessingParameterNumber:
    """A whole number with a lower and perhaps an upper limit; without a default it may be left empty."""
    kind = Qgis.ProcessingNumberParameterType.Integer
    parameter = QgsProcessingParameterNumber(key, title, kind, default, default is None, low)
    if high is not None:
        parameter.setMaximum(high)
    return parameter


def real(
    key: str,
    title: str,
    default: float | None,
    low: float = 0.0,
    high: float | None = None,
    optional: bool = False,
) -> QgsProcessingParameterNumber:
    """A number with a lower and perhaps an upper limit."""
    parameter = QgsProcessingParameterNumber(
        key, title, Qgis.ProcessingNumberParameterType.Double, default, optional, low
    )
    if high is not None:
        parameter.setMaximum(high)
    return parameter


def choice(
    key: str, title: str, options: Sequence[str], default: str | Sequence[str], several: bool = False
) -> QgsProcessingParameterEnum:
    """One (or several) of named options; the values are the names themselves."""
    return QgsProcessingParameterEnum(key, title, list(options), several, default, several, True)


def with_names(algorithm: QgsProcessingAlgorithm, parameters: Parameters) -> dict[str, Any]:
    """The parameters with the numbers of options replaced by their names: batch tables and `qgis_process` have both."""
    named = dict(parameters)
    for definition in algorithm.parameterDefinitions():
        if isinstance(definition, QgsProcessingParameterEnum) and named.get(definition.name()) is not None:
            value = named[definition.name()]
            options = definition.options()
            if isinstance(value, str) and definition.allowMultiple() and value not in options:
                value = [item.strip() for item in value.split(",") if item.strip()]
            several = isinstance(value, (list, tuple))
            named[definition.name()] = (
                [option_name(item, options) for item in value] if several else option_name(value, options)
            )
    return named


def option_name(value: Any, options: Sequence[str]) -> Any:
    """The option that a number means; what is no number of an option stays as it is."""
    text = str(value)
    is_number = text.isdigit() and text not in options and int(text) < len(options)
    return options[int(text)] if is_number else value


def text(key: str, title: str, default: str = "", lines: bool = False) -> QgsProcessingParameterString:
    """A text that may be left empty."""
    return QgsProcessingParameterString(key, title, default or None, lines, True)


def rasters(optional: bool = False) -> QgsProcessingParameterMultipleLayers:
    """LAYERS: rasters of any CRS, pixel size and type."""
    return QgsProcessingParameterMultipleLayers(
        "LAYERS", tr("Raster layers"), Qgis.ProcessingSourceType.Raster, None, optional
    )


def polygons(key: str, title: str, optional: bool = False) -> QgsProcessingParameterFeatureSource:
    """A polygon layer."""
    return QgsProcessingParameterFeatureSource(
        key, title, [Qgis.ProcessingSourceType.VectorPolygon], None, optional
    )


DRAWN = [
    Qgis.ProcessingSourceType.VectorPolygon,
    Qgis.ProcessingSourceType.VectorLine,
    Qgis.ProcessingSourceType.VectorPoint,
]
"""Kinds of layers that labels may be."""


def drawn(key: str, title: str, optional: bool = False) -> QgsProcessingParameterFeatureSource:
    """A layer of polygons, lines or points."""
    return QgsProcessingParameterFeatureSource(key, title, DRAWN, None, optional)


def field(key: str, title: str, parent: str) -> QgsProcessingParameterField:
    """An optional field of a layer parameter."""
    return QgsProcessingParameterField(
        key, title, None, parent, Qgis.ProcessingFieldParameterDataType.Any, False, True
    )


def file(key: str, title: str, extension: str, optional: bool = False) -> QgsProcessingParameterFile:
    """An existing file, or the folder that holds it (see `FILES_IN_FOLDERS`).

    In a model both outputs of the algorithm that wrote it fit; a fixed extension would refuse the folder.
    """
    return QgsProcessingParameterFile(
        key,
        title,
        Qgis.ProcessingFileParameterBehavior.File,
        optional=optional,
        fileFilter=tr("Files (*.{});;All files (*)").format(extension),
    )


FILES_IN_FOLDERS = {
    **{
        key_of(job, name): param.in_folder
        for job in JOBS.values()
        for name, param in params_of(job).items()
        if param.in_folder
    },
    "AREAS": "areas.json",
    "METRICS": "metrics.json",
}
"""Parameter -> file that is meant where the folder of a run, of an evaluation or of areas is given."""


def with_files_in_folders(parameters: Parameters) -> dict[str, Any]:
    """The parameters with files where folders that hold them are given."""
    return {
        key: file_of_run(value, FILES_IN_FOLDERS[key])
        if key in FILES_IN_FOLDERS and isinstance(value, str)
        else value
        for key, value in parameters.items()
    }


def dataset() -> QgsProcessingParameterFile:
    """DATASET: dataset.json or its folder, which a filter for files with a dot would refuse."""
    return QgsProcessingParameterFile(
        "DATASET",
        tr("Dataset (dataset.json)"),
        Qgis.ProcessingFileParameterBehavior.File,
        fileFilter=tr("Dataset (*.json);;All files (*)"),
    )


def terrain(key: str) -> QgsProcessingParameterEnum:
    """Which terrain attributes; the usual ones by default."""
    known = TERRAIN_ATTRIBUTES + RELIEF_ATTRIBUTES
    return choice(key, tr("Terrain attributes"), known, list(TERRAIN_ATTRIBUTES), several=True)


def add_terrain_settings(algorithm: QgsProcessingAlgorithm) -> None:
    """HEIGHT_UNIT, RADIUS, RADII, AZIMUTH, ALTITUDE: what terrain attributes need; empty leaves it to the engine."""
    for parameter in (
        text("HEIGHT_UNIT", tr("Unit of heights, as US survey foot (empty: as the file says, else metres)")),
        real("RADIUS", tr("Radius of TPI and local relief in metres"), None, 0, optional=True),
        text("RADII", tr("Radii of multi-scale TPI in metres, as 100,300,900")),
        real(
            "AZIMUTH",
            tr("Hillshade: direction of the light in degrees from north"),
            None,
            0,
            360,
            optional=True,
        ),
        real("ALTITUDE", tr("Hillshade: height of the light in degrees"), None, 0, 90, optional=True),
    ):
        algorithm.addParameter(advanced(parameter))


def terrain_settings(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> dict[str, float | str]:
    """The settings that are given, by the names that the engine knows them by."""
    keys = {"radius_m": "RADIUS", "azimuth": "AZIMUTH", "altitude": "ALTITUDE"}
    found: dict[str, float | str] = {
        name: algorithm.parameterAsDouble(dict(parameters), key, context)
        for name, key in keys.items()
        if parameters.get(key) not in (None, "")
    }
    radii = algorithm.parameterAsString(dict(parameters), "RADII", context)
    return {**found, "radii": radii} if radii else found


def height_unit(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> str:
    """HEIGHT_UNIT, empty where it is left to the file."""
    return str(algorithm.parameterAsString(dict(parameters), "HEIGHT_UNIT", context)).strip()


def polygon_layer(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, key: str, context: QgsProcessingContext
) -> tuple[QgsVectorLayer | None, bool]:
    """The layer of a `polygons` parameter and whether only its selected features count."""
    value = parameters.get(key)
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        inner = {**parameters, key: value.source}
        return algorithm.parameterAsVectorLayer(inner, key, context), bool(value.selectedFeaturesOnly)
    return algorithm.parameterAsVectorLayer(dict(parameters), key, context), False


def chosen_bands(text: str, layers: Sequence[QgsRasterLayer]) -> dict[str, tuple[int, ...]]:
    """`optical:1,3-4; dem:1` as layer id -> bands from 1. Layers that are not named are left out.

    Raises:
        ValueError: with a sentence that names the part that is wrong.
    """
    chosen: dict[str, tuple[int, ...]] = {}
    for layer_id, numbers in listed_bands(text, layers):
        chosen[layer_id] = tuple(dict.fromkeys((*chosen.get(layer_id, ()), *numbers)))
    return chosen


def listed_bands(text: str, layers: Sequence[QgsRasterLayer]) -> list[tuple[str, tuple[int, ...]]]:
    """The same in the order in which they stand there: a layer may be named more than once.

    Raises:
        ValueError: as `chosen_bands`.
    """
    listed = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, numbers = part.rpartition(":")
        layer = next((item for item in layers if item.name() == name.strip()), None)
        if layer is None:
            known = ", ".join(item.name() for item in layers)
            raise ValueError(tr("BANDS names the layer '{}', but the layers are: {}.").format(name, known))
        listed.append((layer.id(), band_numbers(numbers, layer)))
    return listed


def band_numbers(text: str, layer: QgsRasterLayer) -> tuple[int, ...]:
    """`1,3-4` as (1, 3, 4), each a band of the layer; `none` as no band.

    Raises:
        ValueError: with a sentence that names the part that is wrong.
    """
    if text.strip().lower() == "none":
        return ()
    bands: list[int] = []
    for part in (part.strip() for part in text.split(",")):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
        if match is None:
            raise ValueError(tr("BANDS: '{}' is no band number.").format(part))
        first, last = int(match[1]), int(match[2] or match[1])
        maximum = max(value_bands(layer), default=0)
        if not 1 <= first <= last <= maximum:
            raise ValueError(
                tr("BANDS: layer '{}' has bands 1 to {}, not {}.").format(layer.name(), maximum, part)
            )
        bands.extend(range(first, last + 1))
    return tuple(dict.fromkeys(bands))


def dataset_folder(text: str) -> Path:
    """The folder of a dataset given as its folder or its dataset.json."""
    path = Path(text)
    return path.parent if path.suffix.lower() == ".json" else path


def dataset_problems(text: str) -> list[Problem]:
    """Complaint about a dataset that does not exist."""
    found = dataset_folder(text) / "dataset.json"
    if text and found.is_file():
        return []
    return [
        Problem(
            "no_dataset",
            tr("There is no dataset at '{}'.").format(text),
            tr("Choose the folder (or its dataset.json) that geoseg:maketiles wrote."),
        )
    ]


def missing_file_problems(text: str, title: str) -> list[Problem]:
    """Complaint about a file that does not exist; an empty text is none."""
    if not text or Path(text).is_file():
        return []
    if Path(text).is_dir():
        message = tr("{}: the folder {} holds no such file.").format(title, text)
    else:
        message = tr("{}: the file {} does not exist.").format(title, text)
    return [Problem("file_missing", message, tr("Choose again."))]
