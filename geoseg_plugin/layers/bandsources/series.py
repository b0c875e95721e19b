"""Time series as bands: one statistic of a variable over the dates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from ...contract import TEMPORAL_STATISTICS, Band, Series, Source
from ...jobs.additions import Addition
from ...jobs.listtext import items
from ...jobs.modelinputs import ModelInput
from ..inputs.folder import InputFolder
from ..inputs.lookup import LayerOf
from .kind import BandSource, tr

BY_NAME = tuple(item for item in TEMPORAL_STATISTICS if item not in ("date", "percentile"))
PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class TimeSeries(BandSource):
    """Files with a value per date: a NetCDF file, a raster with a band per date, or a raster per date."""

    kind = "series"
    filled_by = "files"

    def replacement(self, wanted: ModelInput, chosen: str, layer_of: LayerOf, folder: InputFolder) -> Source:
        first, *rest = chosen.split("\n")
        return Source(wanted.source.key, first, wanted.source.name, kind="series", paths=tuple(rest))

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        files = Qgis.ProcessingSourceType.File
        date = Qgis.ProcessingDateTimeParameterDataType.Date
        texts = {
            "SERIES_VARIABLES": tr("Variables of the series (names or band numbers), empty for the first"),
            "STATISTICS": tr("Statistics of the series (median, p10, trend, 2019-07-01 …)"),
            "MONTHS": tr("Months of the series, as 5-9"),
            "CLOUD_MASK": tr("Cloud mask: variable or band of the series"),
            "CLEAR_VALUES": tr("Values of the cloud mask that are clear (empty: 0)"),
        }
        text = {
            key: QgsProcessingParameterString(
                key, title, "median" if key == "STATISTICS" else None, False, True
            )
            for key, title in texts.items()
        }
        title = tr("Time series: one file, or a file per date")
        return [
            QgsProcessingParameterMultipleLayers("SERIES", title, files, None, True),
            text["SERIES_VARIABLES"],
            text["STATISTICS"],
            QgsProcessingParameterDateTime("DATE_FROM", tr("First date of the series"), date, None, True),
            QgsProcessingParameterDateTime("DATE_TO", tr("Last date of the series"), date, None, True),
            text["MONTHS"],
            text["CLOUD_MASK"],
            text["CLEAR_VALUES"],
        ]

    def additions(
        self, algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
    ) -> tuple[Addition, ...]:
        given = dict(parameters)
        files = [item for item in algorithm.parameterAsFileList(given, "SERIES", context) if item]
        if not files:
            return ()

        def text(key: str) -> str:
            return str(algorithm.parameterAsString(given, key, context))

        def date(key: str) -> str:
            value = algorithm.parameterAsDateTime(given, key, context) if given.get(key) else None
            return str(value.date().toString("yyyy-MM-dd")) if value is not None else ""

        dates = Series(
            start=date("DATE_FROM"),
            end=date("DATE_TO"),
            months=months_of(text("MONTHS")),
            mask=text("CLOUD_MASK"),
            clear=tuple(float(item) for item in items(text("CLEAR_VALUES"))),
        )
        return (series_addition(files, items(text("SERIES_VARIABLES")), text("STATISTICS"), dates),)


def series_addition(
    files: Sequence[str], variables: Sequence[str], statistics: str, dates: Series
) -> Addition:
    """Return one band per variable and statistic of a time series.

    Args:
        files: a NetCDF file, a raster with a band per date, or a raster per date.
        variables: NetCDF variables, or band numbers of files with several; empty is the first.
        statistics: as `median, p10, 2019-07-01`.
        dates: start, end, months, mask; its variables are filled in.

    Raises:
        ValueError: with a sentence that names the part that is wrong.
    """
    numbers = [item for item in variables if item.isdigit()]
    named = tuple(item for item in variables if not item.isdigit())
    if named and numbers:
        raise ValueError(tr("SERIES_VARIABLES mixes names and numbers: {}.").format(", ".join(variables)))
    stem = Path(files[0]).stem
    indices = [int(item) for item in numbers] or list(range(1, len(named) + 1)) or [1]
    titles = named or tuple(f"{stem} {number}" if numbers else stem for number in indices)
    bands = tuple(
        Band(f"{title} {text}", "", index, derive=derive, parameters=parameters)
        for index, title in zip(indices, titles, strict=True)
        for text, derive, parameters in map(statistic, items(statistics) or ["median"])
    )
    series = Series(named, (), dates.start, dates.end, dates.months, dates.mask, dates.clear)
    return Addition(stem, bands, "series", path=files[0], paths=tuple(files[1:]), series=series)


def statistic(text: str) -> tuple[str, str, dict[str, float | str]]:
    """Return title, derivation and its parameters of `p10`, `median` or a date.

    Raises:
        ValueError: for a text that is none of them.
    """
    found = PERCENTILE.fullmatch(text.lower())
    if found and float(found[1]) <= 100:
        return text, "percentile", {"percent": float(found[1])}
    if ISO_DATE.fullmatch(text):
        return text, "date", {"date": text}
    if text.lower() in BY_NAME:
        return text.lower().replace("_", " "), text.lower(), {}
    raise ValueError(
        tr(
            "STATISTICS: '{}' is unknown. Choose from {}, p10 (any percentile) or a date like 2019-07-01."
        ).format(text, ", ".join(BY_NAME))
    )


def months_of(text: str) -> tuple[int, ...]:
    """Return the months of a text: `5-9, 11` gives (5, 6, 7, 8, 9, 11).

    Raises:
        ValueError: for anything but months.
    """
    months: list[int] = []
    for item in items(text):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", item)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= 12:
            raise ValueError(tr("MONTHS: '{}' is no month from 1 to 12.").format(item))
        months += range(first, last + 1)
    return tuple(dict.fromkeys(months))
