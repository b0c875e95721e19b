"""Networks by name. An architecture is a plain dict, so that a model file can rebuild its network."""

from __future__ import annotations

from typing import Any, Protocol, cast

from torch import nn

from ..contract import GeoSegError
from .spectral import MaximumLikelihood, SpectralAngle
from .unet import UNet

NETWORKS: dict[str, type[nn.Module]] = {
    "unet": UNet,
    "maximum_likelihood": MaximumLikelihood,
    "spectral_angle": SpectralAngle,
}


class Traits(Protocol):
    """What a network says of itself; prediction by windows rests on it.

    Attributes:
        reach_px: halo that a window needs on every side; a multiple of `align_px`.
        align_px: origin and size of windows must be multiples of it.
        tile_exact: whether prediction by such windows equals prediction of the whole.
    """

    reach_px: int
    align_px: int
    tile_exact: bool


def build(architecture: dict[str, Any]) -> nn.Module:
    """Make an untrained network from {"name", "bands", "classes", …}.

    Raises:
        GeoSegError: `architecture` for a name that is not in NETWORKS.
    """
    settings = dict(architecture)
    name = settings.pop("name", "")
    if name not in NETWORKS:
        raise GeoSegError(
            "architecture", f"Unknown architecture '{name}'.", f"Known: {', '.join(sorted(NETWORKS))}."
        )
    return NETWORKS[name](**settings)


def traits(network: nn.Module) -> Traits:
    """What the network declares of its reach."""
    return cast(Traits, network)
