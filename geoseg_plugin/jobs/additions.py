"""What a user adds to the bands of the layers, as plain data: indices, expressions, relief, vectors, series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ..contract import EXPRESSION, Band, GeoSegError, Series, Source, SourceKind, decode, encode


@dataclass(frozen=True)
class Input:
    """A variable of an expression: a band of a raster layer (from 1), or a band that is added, by its name."""

    variable: str
    layer_id: str = ""
    index: int = 1
    name: str = ""


@dataclass(frozen=True)
class Addition:
    """One entry of the list of added bands.

    Attributes:
        title: what the user reads.
        kind: `expression` of other bands, or the kind of their source.
        bands: with their derivation and parameters; their source is filled in when a job is made.
        layer_id: the layer of kinds `raster` and `vector`.
        path, paths: the files of kind `series`; of kind `vector` where its features were written.
        layer: layer inside `path` of kind `vector`.
        fields: fields of a vector layer that the bands need.
        series: the dates of kind `series`.
        inputs: of kind `expression`.
        source_name: by which a model names the source; the title unless given.
    """

    title: str
    bands: tuple[Band, ...]
    kind: Literal["expression", SourceKind] = "raster"
    layer_id: str = ""
    path: str = ""
    paths: tuple[str, ...] = ()
    layer: str = ""
    fields: tuple[str, ...] = ()
    series: Series | None = None
    inputs: tuple[Input, ...] = ()
    source_name: str = ""

    def source(self, key: str) -> Source:
        """The source of an addition that has files of its own."""
        kind: Any = self.kind
        return Source(
            key,
            self.path,
            self.source_name or self.title,
            kind=kind,
            paths=self.paths,
            layer=self.layer,
            series=self.series,
        )

    @property
    def layer_ids(self) -> tuple[str, ...]:
        """Layers that it cannot do without."""
        ids = [self.layer_id, *(item.layer_id for item in self.inputs)]
        return tuple(dict.fromkeys(item for item in ids if item))


def index_addition(name: str, formula: str, inputs: Iterable[Input]) -> Addition:
    """Return a band computed from others by a formula. Any thread.

    Args:
        name: of the band.
        formula: in the variables of `inputs`.
        inputs: the bands behind the variables.
    """
    band = Band(name, derive=EXPRESSION, parameters={"expression": formula})
    return Addition(f"{name} = {formula}", (band,), "expression", inputs=tuple(inputs))


def additions_to_json(additions: Iterable[Addition]) -> list[dict[str, Any]]:
    """Additions as the project file keeps them."""
    return [encode(item) for item in additions]


def additions_from_json(items: Any) -> tuple[Addition, ...]:
    """The inverse; entries that another version wrote and this one cannot read are left out."""
    found = []
    for item in items if isinstance(items, list) else []:
        try:
            found.append(decode(Addition, item))
        except GeoSegError:
            continue
    return tuple(found)
