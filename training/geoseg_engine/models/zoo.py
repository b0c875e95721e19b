"""Networks of segmentation-models-pytorch (MIT), an extra of the engine: its encoders and decoders by name.

None of them has what prediction by exact windows needs (many pool the whole image), so windows are blended.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from torch import Tensor, nn

from ..contract import GeoSegError

IMAGENET = "imagenet"
DECODERS = (
    "unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus", "pan", "upernet",
    "segformer", "dpt",
)  # fmt: skip


class Zoo(nn.Module):
    """One network of segmentation-models-pytorch, with random weights.

    Args:
        bands, classes: input and output channels.
        encoder: a name of the library; `tu-…` for any of timm.
        decoder: of DECODERS.

    Attributes:
        reach_px: overlap of windows in pixels; the reach of the network itself is not bounded.
        align_px, tile_exact: see `models.Traits`.

    Raises:
        GeoSegError: `no_zoo` where the extra is not installed, `architecture` for names that the library rejects.
    """

    tile_exact, align_px, reach_px = False, 32, 64

    def __init__(self, bands: int, classes: int, encoder: str = "resnet34", decoder: str = "unet") -> None:
        super().__init__()
        self.names = (decoder, encoder)
        self.model = _create(decoder, encoder, None, bands, classes)

    @property
    def encoder(self) -> nn.Module:
        """The part that weights are loaded into."""
        found: nn.Module = self.model.encoder  # type: ignore[assignment]
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) of z-scores; rows and columns are multiples of 32."""
        logits: Tensor = self.model(image)
        return logits

    def imagenet(self) -> dict[str, Tensor]:
        """Return the encoder's state with ImageNet weights for three bands, downloaded by the library.

        Raises:
            GeoSegError: `weights` if there are none for this encoder or they cannot be downloaded.
        """
        decoder, encoder = self.names
        try:
            model = _create(decoder, encoder, IMAGENET, 3, 1)
        except (OSError, RuntimeError, GeoSegError) as error:
            raise GeoSegError(
                "weights",
                f"ImageNet weights for '{encoder}' could not be downloaded: {error}",
                "Check the connection, choose a file with weights instead, or leave the weights empty.",
            ) from error
        found: dict[str, Tensor] = model.encoder.state_dict()  # type: ignore[union-attr, operator]
        return found


def library() -> ModuleType:
    """Return segmentation-models-pytorch.

    Raises:
        GeoSegError: `no_zoo` where it, or something it needs, is missing or broken.
    """
    try:
        import segmentation_models_pytorch
    except (ImportError, RuntimeError) as error:
        raise GeoSegError(
            "no_zoo",
            "The extra 'zoo' (segmentation-models-pytorch with timm and torchvision) is not installed or broken.",
            "Install it on the Engine page, or run: pip install -r training/requirements/zoo.txt",
            str(error),
        ) from error
    found: ModuleType = segmentation_models_pytorch
    return found


def _create(decoder: str, encoder: str, weights: str | None, bands: int, classes: int) -> Any:
    smp = library()
    if decoder not in DECODERS:
        raise GeoSegError(
            "architecture", f"There is no decoder '{decoder}'.", f"Choose from: {', '.join(DECODERS)}."
        )
    try:
        return smp.create_model(
            decoder, encoder_name=encoder, encoder_weights=weights, in_channels=bands, classes=classes
        )
    except (KeyError, ValueError, TypeError) as error:
        raise GeoSegError(
            "architecture",
            f"The encoder '{encoder}' cannot be combined with the decoder '{decoder}': {error}",
            "Choose another of the two; resnet34 and unet can be combined.",
        ) from error
