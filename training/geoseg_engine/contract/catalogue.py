"""The models that GeoSeg trains: one list, read by the panel, the Toolbox, comparisons, reports and help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """An entry of the list of models: a network of the job `train`, or a baseline of the job `trainforest`.

    Attributes:
        key: by which the panel and comparisons name it; stored in projects.
        name: on screen and in tables.
        about: what it is good at, in one or two short sentences.
        architecture, encoder: of a network.
        method: of a baseline.
        compared: part of a comparison unless the user chooses.
    """

    key: str
    name: str
    about: str
    architecture: str = ""
    encoder: str = ""
    method: str = ""
    compared: bool = False


NETWORKS = (
    Model(
        "unet",
        "U-Net",
        "The proven network for maps; fast, works with few and many labels. The network to begin with.",
        "unet",
        compared=True,
    ),
    Model(
        "attention_resunet",
        "Attention Res-UNet",
        "A U-Net with attention; for small objects among many similar ones. Slower.",
        "attention_resunet",
        compared=True,
    ),
    Model(
        "resunet_a",
        "ResUNet-a",
        "Sees several scales at once; for objects of very different size. Slow.",
        "resunet_a",
    ),
    Model("segnet", "SegNet", "Small and light; coarser boundaries than a U-Net.", "segnet"),
    Model(
        "deeplabv3plus:resnet18",
        "DeepLabV3+ (ResNet-18)",
        "Wide context; takes pretrained weights. For smooth, large shapes.",
        "deeplabv3plus",
        "resnet18",
        compared=True,
    ),
    Model(
        "deeplabv3plus:resnet50",
        "DeepLabV3+ (ResNet-50)",
        "The same with a large encoder; needs a GPU and many labels.",
        "deeplabv3plus",
        "resnet50",
    ),
    Model(
        "patchcnn",
        "Patch CNN",
        "Classifies each pixel from the patch around it; for point-like labels.",
        "patchcnn",
    ),
)
"""New ones go to the end: the Toolbox also knows them by number."""
BASELINE_MODELS = (
    Model(
        "forest",
        "Random forest",
        "Try it first: seconds, no GPU, hard to beat with few labels. Sees single pixels, not shapes.",
        method="forest",
        compared=True,
    ),
    Model(
        "maximum_likelihood",
        "Maximum likelihood",
        "The classic statistical classifier, in seconds; a network has to be better than this.",
        method="maximum_likelihood",
    ),
    Model(
        "spectral_angle",
        "Spectral angle",
        "Compares the shape of spectra, not their brightness; in seconds, for many bands.",
        method="spectral_angle",
    ),
    Model(
        "fast",
        "Fast model (random forest with texture)",
        "A map in seconds: trees on each pixel and its surroundings at three scales. Sees texture, not shapes.",
        method="fast",
        compared=True,
    ),
)
COMPARABLE = (*BASELINE_MODELS[:3], *NETWORKS, *BASELINE_MODELS[3:])
"""Models of a comparison; new ones go to the end: the Toolbox also knows them by number."""
OTHER = Model(
    "zoo",
    "Other (segmentation-models-pytorch)…",
    "Any encoder and decoder of segmentation-models-pytorch, with ImageNet weights; needs an extra package.",
    "zoo",
)
"""The whole of another library behind one entry; needs the engine's extra `zoo`."""

CATALOGUE = {model.key: model for model in (*NETWORKS, *BASELINE_MODELS, OTHER)}
"""Models by key, in the order of the list."""

ZOO_PLACE = 6
"""Number of `zoo` in the Toolbox's list; networks that came after it follow."""
_ARCHITECTURES = tuple(dict.fromkeys(model.architecture for model in NETWORKS))
ARCHITECTURES = (*_ARCHITECTURES[:ZOO_PLACE], OTHER.architecture, *_ARCHITECTURES[ZOO_PLACE:])
"""Networks; `zoo` is any of segmentation-models-pytorch and needs the engine's extra of that name."""
ENCODERS = tuple(model.encoder for model in NETWORKS if model.encoder)
"""Encoders of deeplabv3plus; the zoo has its own."""
BASELINES = tuple(model.method for model in BASELINE_MODELS)
FAST_MODEL = "fast"
"""What a map is made with unless the user chooses."""


def model_name(architecture: str, encoder: str = "") -> str:
    """Return the name on screen of a network or a baseline; `architecture` itself if the list has none.

    Args:
        architecture: as a model file states it: of ARCHITECTURES, of BASELINES, or another.
        encoder: of a network that has one.
    """
    known = [model for model in CATALOGUE.values() if architecture in (model.architecture, model.method)]
    exact = next((model.name for model in known if model.encoder == encoder), "")
    if not architecture or exact:
        return exact or architecture
    base = known[0].name.partition(" (")[0] if known else architecture
    return f"{base} ({encoder})" if encoder else base
