"""What QGIS makes of map units, on which the pixel size in our model files rests."""

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsUnitTypes

METRES = {
    "EPSG:32632": 1.0,
    "EPSG:3857": 1.0,
    "EPSG:4326": 111319.49079327358,
    "EPSG:2222": 0.3048,
    "EPSG:2263": 0.30480060960121924,
}


@pytest.mark.parametrize("crs", METRES)
def test_qgis_converts_map_units_as_the_model_file_assumes(crs: str) -> None:
    units = QgsCoordinateReferenceSystem(crs).mapUnits()
    factor = QgsUnitTypes.fromUnitToUnitFactor(QgsUnitTypes.DistanceUnit.DistanceMeters, units)
    assert 1 / factor == pytest.approx(METRES[crs], rel=1e-5)
