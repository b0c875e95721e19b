"""How bands that depend on a direction may be rotated: aspect follows the image, a fixed light forbids any rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..contract import EXPRESSION, SPECKLE_FILTERS, Band, Grid
from ..raster.geodesy import plane_of

LIGHT, VIEW, FORMULA, NAMED, NORTH = (
    "has a fixed light",
    "has a fixed direction of view",
    "is computed from a direction",
    "holds a direction, going by its name",
    "counts from north, which is not up on this grid",
)
NAMES = (
    "hillshade",
    "shaded",
    "aspect",
    "northness",
    "eastness",
    "exposition",
    "direction",
    "azimuth",
    "incidence",
)
"""Words in the name of a band that was not derived here but depends on a direction all the same."""

COMPONENTS = ("aspect_sin", "aspect_cos")
MAX_NORTH_DEGREES = 10.0
"""Maximum angle between north and the map's vertical axis for mirrored components of a direction to stay right."""


@dataclass(frozen=True)
class DirectionalBands:
    """Which bands are components of a direction, and which allow no rotation.

    Attributes:
        pairs: (east, north) band numbers, of one source each.
        lone_east, lone_north: components whose partner is not in the stack; they allow no rotation by 90°.
        fixed: (name of a band that allows no rotation at all, reason).
        lone: names of the bands without a partner.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    lone_east: tuple[int, ...] = ()
    lone_north: tuple[int, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    lone: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, bands: Sequence[Band], intermediates: Sequence[Band] = (), grid: Grid | None = None
    ) -> DirectionalBands:
        """Find aspect_sin and aspect_cos of the same source, and bands that allow no rotation.

        Args:
            bands: input bands of the network.
            intermediates: the recipe's other bands, where expressions may take a direction from.
            grid: of the network's input. Where its up is not north, as in polar projections, a mirror image of the map
                is no mirror image of directions.
        """
        east = {band.source: i for i, band in enumerate(bands) if band.derive == "aspect_sin"}
        north = {band.source: i for i, band in enumerate(bands) if band.derive == "aspect_cos"}
        both = sorted(east.keys() & north.keys())
        lone_east = tuple(index for key, index in east.items() if key not in north)
        lone_north = tuple(index for key, index in north.items() if key not in east)
        known = {band.name: band for band in (*intermediates, *bands)}
        fixed = [(band.name, why) for band in bands if (why := fixed_reason(band, known))]
        if grid is not None and not is_north_up(grid):
            fixed += [(band.name, NORTH) for band in bands if band.derive in COMPONENTS]
        return cls(
            tuple((east[key], north[key]) for key in both),
            lone_east,
            lone_north,
            tuple(fixed),
            tuple(bands[index].name for index in (*lone_east, *lone_north)),
        )

    @property
    def allows_rotation(self) -> bool:
        """Whether images may be rotated or mirrored at all."""
        return not self.fixed

    @property
    def allows_quarter_rotation(self) -> bool:
        """Whether images may be rotated by 90° or any other angle."""
        return self.allows_rotation and not (self.lone_east or self.lone_north)

    @property
    def bands(self) -> list[int]:
        """All bands that hold a component."""
        return [index for pair in self.pairs for index in pair] + [*self.lone_east, *self.lone_north]

    def allowed(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """Return those kinds of augmentation (of contract.AUGMENTATIONS) that keep every band right."""
        out = (
            {"flip", "turn", "rotate"}
            if not self.allows_rotation
            else set()
            if self.allows_quarter_rotation
            else {"rotate"}
        )
        return tuple(kind for kind in kinds if kind not in out)

    def restriction(self) -> str:
        """Return which rotations are left out and for which band; empty where none are."""
        if self.fixed:
            name, reason = self.fixed[0]
            others = len(self.fixed) - 1
            more = f", and {others} more" if others else ""
            return f"no rotation or mirroring: band '{name}' {reason}{more}"
        if self.lone:
            return (
                f"only rotation by 180° and mirroring: band '{self.lone[0]}' is one component of a direction, without "
                "the other"
            )
        return ""

    def rotate_components(self, images: Tensor, cosine: Tensor, sine: Tensor, side: Tensor) -> Tensor:
        """Return images with the components of directions rotated; pixels are not moved here.

        Args:
            images: (batch, bands, rows, cols), moved already.
            cosine, sine: (batch) of the angle counter-clockwise.
            side: (batch), -1 where east and west were mirrored afterwards, else 1.
        """
        if not self.bands:
            return images
        cosine, sine, side = (item[:, None, None] for item in (cosine, sine, side))
        images = images.clone()
        for east, north in self.pairs:
            old_east, old_north = images[:, east].clone(), images[:, north].clone()
            images[:, east] = side * (cosine * old_east - sine * old_north)
            images[:, north] = sine * old_east + cosine * old_north
        for east in self.lone_east:
            images[:, east] *= side * cosine
        for north in self.lone_north:
            images[:, north] *= cosine
        return images


def is_north_up(grid: Grid) -> bool:
    """Return whether north is up and east to the right everywhere on a grid, or south and west are."""
    plane = plane_of(grid)
    return plane.turn_degrees < MAX_NORTH_DEGREES and plane.axes in (((1, 0), (0, 1)), ((-1, 0), (0, -1)))


def fixed_reason(band: Band, known: dict[str, Band]) -> str:
    """Return why a band allows no rotation; empty if it allows them.

    Args:
        band: of a recipe.
        known: all bands of the recipe by name, for the inputs of expressions.
    """
    if band.derive == "hillshade":
        return LIGHT
    if band.derive in SPECKLE_FILTERS:
        return VIEW
    if band.derive == EXPRESSION:
        inputs = [known[name] for name in band.inputs.values() if name in known and name != band.name]
        return (
            FORMULA if any(item.derive in COMPONENTS or fixed_reason(item, known) for item in inputs) else ""
        )
    if not band.derive and any(word in band.name.lower() for word in NAMES):
        return NAMED
    return ""
