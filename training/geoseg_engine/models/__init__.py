"""Networks by name. An architecture is a plain dict, so that a model file can rebuild its network."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, cast

import torch
from torch import nn

from ..contract import GeoSegError, TrainJob
from .architecture_check import check_architecture
from .attention_resunet import AttentionResUNet
from .deeplab import DeepLabV3Plus
from .ensemble import Ensemble, Member
from .facts import Facts, facts_of
from .patchcnn import PatchCNN
from .resunet_a import ResUNetA
from .segnet import SegNet
from .spectral import MaximumLikelihood, SpectralAngle
from .unet import UNet
from .weights import load_encoder
from .zoo import Zoo

__all__ = [
    "ENSEMBLE", "NETWORKS", "Facts", "Traits", "architecture_of", "build", "check_architecture", "encoder_modules",
    "facts", "last_layers", "load_encoder", "needs_float64", "state_shapes", "traits",
]  # fmt: skip

NETWORKS: dict[str, type[nn.Module]] = {
    "unet": UNet,
    "attention_resunet": AttentionResUNet,
    "resunet_a": ResUNetA,
    "segnet": SegNet,
    "deeplabv3plus": DeepLabV3Plus,
    "patchcnn": PatchCNN,
    "zoo": Zoo,
    "maximum_likelihood": MaximumLikelihood,
    "spectral_angle": SpectralAngle,
}
ENSEMBLE = "ensemble"
"""Name of an ensemble: {"name", "members": [architectures], "bands", "classes"}."""
MEMBER = "member"
"""Name of a member: {"name", "network": architecture, "bands", "classes"}, a network with statistics of its own."""


class Traits(Protocol):
    """What a network declares about itself; prediction by windows depends on it.

    Attributes:
        reach_px: halo that a window needs on every side in pixels; a multiple of `align_px`.
        align_px: origin and size of windows must be multiples of this.
        tile_exact: whether prediction by such windows equals prediction of the whole.
    """

    reach_px: int
    align_px: int
    tile_exact: bool


def architecture_of(
    job: TrainJob, *, width: int, levels: int, dropout: float, bands: int, classes: int
) -> dict[str, Any]:
    """Return the architecture of a job, with the settings that its network has.

    Args:
        job: name of the architecture, encoder, decoder and normalisation.
        width: channels of the first level.
        levels: downsamplings.
        dropout: probability, 0..1.
        bands: number of input bands.
        classes: number of classes.

    Raises:
        GeoSegError: `architecture` for an unknown name, or a normalisation that the network does not have.
    """
    network = _named(job.architecture)
    offered = {"width": width, "levels": levels, "dropout": dropout, "norm": job.norm}
    offered |= {name: value for name in ("encoder", "decoder") if (value := getattr(job, name))}
    takes = inspect.signature(network).parameters
    if job.norm != "batch" and "norm" not in takes:
        raise GeoSegError(
            "architecture",
            f"{job.architecture} has no {job.norm} normalisation.",
            "Choose batch normalisation, or another network.",
        )
    chosen = {
        name: offered.get(name, parameter.default)
        for name, parameter in takes.items()
        if name in ("width", "levels", "dropout", "norm", "encoder", "decoder")
    }
    return {"name": job.architecture, "bands": bands, "classes": classes, **chosen}


def build(architecture: dict[str, Any]) -> nn.Module:
    """Return an untrained network of an architecture {"name", "bands", "classes", …}.

    Raises:
        GeoSegError: `architecture` for a name that is not in NETWORKS, or a setting that the network does not have
            or accept; `no_zoo` for a network of segmentation-models-pytorch where that is not installed.
    """
    check_architecture(architecture)
    return _built(architecture)


def state_shapes(architecture: dict[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Return name and shape of everything in a network's state, without memory for it.

    None for networks of segmentation-models-pytorch, which computes as it builds them.

    Raises:
        GeoSegError: as `build`.
    """
    check_architecture(architecture)
    if "'zoo'" in repr(architecture):
        return None
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in _built(architecture).state_dict().items()}


def _built(architecture: dict[str, Any]) -> nn.Module:
    settings = dict(architecture)
    name = settings.pop("name")
    if name == ENSEMBLE:
        return _ensemble(settings)
    if name == MEMBER:
        return _member(settings)
    network = _named(name)
    try:
        return network(**settings)
    except (TypeError, ValueError) as error:
        raise GeoSegError(
            "architecture",
            f"{name} cannot be built from {settings}: {error}",
            f"Its settings are {', '.join(inspect.signature(network).parameters)}. The model may be newer.",
        ) from error


def facts(architecture: dict[str, Any]) -> Facts:
    """Return size, reach and memory of a network, without computing anything.

    Raises:
        GeoSegError: as `build`.
    """
    return facts_of(lambda: build(architecture), int(architecture["bands"]))


def traits(network: nn.Module) -> Traits:
    """Return reach, alignment and exactness of a network."""
    return cast(Traits, network)


def encoder_modules(network: nn.Module) -> list[nn.Module]:
    """Return the parts that are frozen, pretrained and loaded as the encoder; none for a spectral classifier."""
    if isinstance(network, Ensemble):
        return [part for member in network.members for part in encoder_modules(member)]
    encoder = getattr(network, "encoder", None)
    return [] if encoder is None else [encoder]


def last_layers(network: nn.Module) -> list[nn.Module]:
    """Return the convolutions that make the logits: one, or one per member of an ensemble."""
    if isinstance(network, Ensemble):
        return [layer for member in network.members for layer in last_layers(member)]
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1:]


def needs_float64(network: nn.Module) -> bool:
    """Return whether a network computes in double precision, which not every device does."""
    return any(isinstance(module, MaximumLikelihood) for module in network.modules())


def _member(settings: dict[str, Any]) -> Member:
    if set(settings) != {"network", "bands", "classes"}:
        raise GeoSegError(
            "architecture",
            f"A member with {', '.join(settings) or 'no settings'} cannot be built.",
            "It takes network, bands and classes.",
        )
    network, bands, classes = settings["network"], settings["bands"], settings["classes"]
    if (network.get("bands"), network.get("classes")) != (bands, classes):
        raise GeoSegError(
            "architecture",
            f"The network of a member does not have {bands} bands and {classes} classes.",
            "Choose another model; the file may be damaged.",
        )
    return Member(_built(network), bands, classes)


def _ensemble(settings: dict[str, Any]) -> Ensemble:
    members = settings.pop("members", [])
    bands, classes = settings.pop("bands", 0), settings.pop("classes", 0)
    if settings or not members:
        raise GeoSegError(
            "architecture",
            f"An ensemble of {len(members)} members with {', '.join(settings) or 'no settings'} cannot be built.",
            "It takes members, bands and classes.",
        )
    if any((member.get("bands"), member.get("classes")) != (bands, classes) for member in members):
        raise GeoSegError(
            "architecture",
            f"Not all members of the ensemble have {bands} bands and {classes} classes.",
            "Combine models of one dataset.",
        )
    return Ensemble([_built(member) for member in members])


def _named(name: str) -> type[nn.Module]:
    if name not in NETWORKS:
        raise GeoSegError(
            "architecture",
            f"Unknown architecture '{name}'.",
            f"Known: {', '.join(sorted([*NETWORKS, ENSEMBLE]))}.",
        )
    return NETWORKS[name]
