"""The parameters of `stackrasters` for bands that are computed, and for what happens to values."""

from __future__ import annotations

import typing

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterMultipleLayers,
)

from ...contract import INDICES, Resampling, Scaling
from ...layers.bandsources import BAND_SOURCES
from ..parameters import add_terrain_settings, advanced, choice, real, text, tr, whole

SETTING_HEADS = ("Band", "Resampling", "Missing values", "Scaling", "Clip from %", "Clip to %")


def add_computed_bands(algorithm: QgsProcessingAlgorithm) -> None:
    """RADIUS … ALTITUDE, INDICES …, EXPRESSIONS, SAR, SERIES …, VECTORS …, MOSAIC, FILL, BAND_SETTINGS."""
    add_terrain_settings(algorithm)
    algorithm.addParameter(choice("INDICES", tr("Spectral indices"), tuple(INDICES), [], several=True))
    algorithm.addParameter(
        advanced(
            text("ROLES", tr("Bands of the indices (red=layer@3; nir=layer@4), empty: by wavelength or name"))
        )
    )
    scale = real(
        "REFLECTANCE_SCALE", tr("Factor from values to reflectance, for indices with constants"), 1.0
    )
    algorithm.addParameter(advanced(scale))
    algorithm.addParameter(
        advanced(text("EXPRESSIONS", tr('Expressions: name = ("layer@2" - "layer@1") / 2'), lines=True))
    )
    _add_radar(algorithm)
    for source in BAND_SOURCES.values():
        for parameter in source.parameters():
            algorithm.addParameter(advanced(parameter))
    algorithm.addParameter(
        advanced(
            QgsProcessingParameterBoolean(
                "MOSAIC", tr("Mosaic: rasters with equal bands side by side are one"), False
            )
        )
    )
    algorithm.addParameter(
        advanced(text("FILL", tr("Missing values (median, interpolate or a number; empty: not used)")))
    )
    algorithm.addParameter(
        advanced(
            QgsProcessingParameterMatrix(
                "BAND_SETTINGS",
                tr("Settings per band (resampling {}; scaling {})").format(
                    "/".join(typing.get_args(Resampling)), "/".join(typing.get_args(Scaling))
                ),
                0,
                False,
                list(SETTING_HEADS),
                None,
                True,
            )
        )
    )


def _add_radar(algorithm: QgsProcessingAlgorithm) -> None:
    raster = Qgis.ProcessingSourceType.Raster
    algorithm.addParameter(
        advanced(
            QgsProcessingParameterMultipleLayers(
                "SAR", tr("SAR intensities, added as decibels"), raster, None, True
            )
        )
    )
    algorithm.addParameter(
        advanced(
            whole("SPECKLE_SIZE", tr("Lee filter before decibels: window in pixels (0: none)"), 0, 0, 31)
        )
    )
