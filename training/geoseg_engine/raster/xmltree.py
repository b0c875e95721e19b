"""The one door to XML: what GDAL and QGIS keep beside rasters and vector layers."""

from __future__ import annotations

from xml.etree import ElementTree  # nosec B405  # read by `parse_xml` alone, which refuses entities

from ..contract import GeoSegError

__all__ = ["ElementTree", "parse_xml"]


def parse_xml(text: str | bytes) -> ElementTree.Element:
    """Read a document of GDAL's. It has no document type, and so no entities that could grow or reach elsewhere.

    Args:
        text: the whole document.

    Returns:
        Its outermost element.

    Raises:
        GeoSegError: `bad_xml` if it is not well-formed or has a document type.
    """
    parser = ElementTree.XMLParser(target=_WithoutType())  # nosec B314  # `_WithoutType` refuses entities
    try:
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except ElementTree.ParseError as error:
        raise _refused(str(error)) from error
    return root


class _WithoutType(ElementTree.TreeBuilder):
    def doctype(self, name: str, _pubid: str | None, _system: str | None) -> None:
        """Called by the parser at a document type, before any entity is read."""
        raise _refused(f"it has the document type '{name}'")


def _refused(reason: str) -> GeoSegError:
    return GeoSegError(
        "bad_xml", f"A description beside a layer cannot be read: {reason}.", "Write the file again."
    )
