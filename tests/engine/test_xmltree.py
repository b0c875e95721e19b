"""Descriptions in XML are read without entities, and names of any kind come through them."""

from __future__ import annotations

import pytest

from geoseg_engine.contract import GeoSegError
from geoseg_engine.raster.xmltree import ElementTree, parse_xml
from geoseg_engine.vector.files import VectorLayer, untyped

GROWING = """<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>"""


@pytest.mark.parametrize(
    "text", ["<a><b>1</b></a>", b"<a><b>1</b></a>", "<?xml version='1.0'?><a><b>1</b></a>"]
)
def test_a_description_is_read(text: str | bytes) -> None:
    assert parse_xml(text).findtext("b") == "1"


@pytest.mark.parametrize("text", [GROWING, "<!DOCTYPE a SYSTEM 'file:///etc/hosts'><a/>", "<a><b></a>", ""])
def test_entities_and_broken_descriptions_are_refused(text: str) -> None:
    with pytest.raises(GeoSegError) as refused:
        parse_xml(text)
    assert refused.value.code == "bad_xml"


def test_names_of_any_kind_come_through() -> None:
    path, name = "a&b <c> 'd' \"e\".gpkg", "tab\tline\nreturn\r'\"&<>"
    root = ElementTree.fromstring(untyped(VectorLayer(path, name)))
    layer = root.find("OGRVRTLayer")
    assert layer is not None and layer.get("name") == name
    assert (layer.findtext("SrcDataSource"), layer.findtext("SrcLayer")) == (path, name)
