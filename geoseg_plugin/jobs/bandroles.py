"""Which bands of which layer are red, near infrared …: guessed alike for the panel and the Toolbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..contract import guess_roles
from .additions import Input


@dataclass(frozen=True)
class LayerBands:
    """What is known of the bands of a raster layer.

    Attributes:
        layer_id, title: of the layer.
        names: of its bands, as the file describes them; of a layer with one band the layer's.
        wavelengths_nm: central wavelength of each, None where the file states none.
        sensor: texts that may name the sensor.
    """

    layer_id: str
    title: str
    names: tuple[str, ...]
    wavelengths_nm: tuple[float | None, ...]
    sensor: str = ""


@dataclass(frozen=True)
class GuessedBand:
    """A band that plays a role: its layer and number, its name, and why."""

    input: Input
    name: str
    reason: str


@dataclass(frozen=True)
class Guess:
    """Role -> band, all of one image; `rivals` are the titles of layers that would do as well."""

    bands: dict[str, GuessedBand] = field(default_factory=dict)
    rivals: tuple[str, ...] = ()


def guess_bands(layers: Sequence[LayerBands], roles: Collection[str]) -> Guess:
    """The bands that play these roles, in the image that has most of them; of equals the first.

    An image is a layer, or all layers of one band together: the bands of a scene may be files of their own.

    Args:
        layers: images to choose from.
        roles: such as red or nir.
    """
    singles = [layer for layer in layers if len(layer.names) == 1]
    images = [[layer] for layer in layers if len(layer.names) > 1] + ([singles] if singles else [])
    found = [(image, _played(image, roles)) for image in images]
    best = max((len(bands) for _, bands in found), default=0)
    if not best:
        return Guess()
    (_, bands), *rest = [item for item in found if len(item[1]) == best]
    rivals = tuple(", ".join(layer.title for layer in image) for image, _ in rest)
    return Guess(bands, rivals)


def _played(image: Sequence[LayerBands], roles: Collection[str]) -> dict[str, GuessedBand]:
    places = [(layer, number) for layer in image for number in range(1, len(layer.names) + 1)]
    names = [layer.names[number - 1] for layer, number in places]
    waves = [layer.wavelengths_nm[number - 1] for layer, number in places]
    guess = guess_roles(names, waves, "\n".join(layer.sensor for layer in image))
    bands = {}
    for role in roles:
        if role in guess:
            layer, number = places[guess[role].place]
            name = layer.title if len(layer.names) == 1 else f"{layer.title}: {layer.names[number - 1]}"
            bands[role] = GuessedBand(Input("", layer.layer_id, number), name, guess[role].reason)
    return bands
