"""What models, losses, augmentations and other settings of training are called on screen, and why one takes them."""

from __future__ import annotations

from dataclasses import dataclass

from ...panel.texts import tr


@dataclass(frozen=True)
class Model:
    """An entry of the list of models: a network of the job `train`, or a baseline of the job `trainforest`."""

    key: str
    name: str
    why: str
    architecture: str = ""
    encoder: str = ""
    baseline: str = ""


def models() -> dict[str, Model]:
    """Networks and baselines by key, in the order of the list."""
    return {model.key: model for model in (*networks(), *baselines(), zoo())}


def networks() -> tuple[Model, ...]:
    """Our own networks."""
    unet = tr("The proven network for maps; fast, from few labels and many. The network to begin with.")
    attention = tr("A U-Net that weighs what to look at; for small objects in busy ground. Slower.")
    resunet_a = tr("Looks at several distances at once; for objects of very different size. Slow.")
    segnet = tr("Small and light; coarser borders than a U-Net.")
    small = tr("Looks far around; takes pretrained weights. Smooth, large shapes.")
    large = tr("The same with a large encoder: wants a GPU and many labels.")
    patch = tr("Judges each pixel by the patch around it; for point-like labels.")
    deeplab = "deeplabv3plus"
    return (
        Model("unet", tr("U-Net"), unet, "unet"),
        Model("attention_resunet", tr("Attention Res-UNet"), attention, "attention_resunet"),
        Model("resunet_a", tr("ResUNet-a"), resunet_a, "resunet_a"),
        Model("segnet", tr("SegNet"), segnet, "segnet"),
        Model(f"{deeplab}:resnet18", tr("DeepLabV3+ (ResNet-18)"), small, deeplab, "resnet18"),
        Model(f"{deeplab}:resnet50", tr("DeepLabV3+ (ResNet-50)"), large, deeplab, "resnet50"),
        Model("patchcnn", tr("Patch CNN"), patch, "patchcnn"),
    )


def baselines() -> tuple[Model, ...]:
    """What learns from single pixels, in seconds."""
    forest = tr(
        "Try it first: seconds, no GPU, hard to beat from few labels. Looks at single pixels, not at shapes."
    )
    likelihood = tr("The classic statistical map, in seconds: what a network has to beat.")
    angle = tr("Compares the shape of spectra, not their brightness; in seconds, for many bands.")
    return (
        Model("forest", tr("Random forest"), forest, baseline="forest"),
        Model("maximum_likelihood", tr("Maximum likelihood"), likelihood, baseline="maximum_likelihood"),
        Model("spectral_angle", tr("Spectral angle"), angle, baseline="spectral_angle"),
    )


def zoo() -> Model:
    """Everything of segmentation-models-pytorch."""
    why = tr(
        "Any encoder and decoder of segmentation-models-pytorch, with ImageNet weights; an extra package."
    )
    return Model("zoo", tr("More…"), why, "zoo")


def way_names() -> dict[str, str]:
    """What else one can do with models, by the key that the Train page sends."""
    return {
        "compare": tr("Compare models…"),
        "crossvalidate": tr("Cross-validate this model…"),
        "search": tr("Search its settings…"),
        "runs": tr("All runs…"),
    }


def preset_names() -> dict[str, str]:
    """How long one wants to wait, by contract key."""
    return {
        "quick": tr("Quick: a first map in 5 minutes"),
        "balanced": tr("Balanced: while it improves"),
        "best": tr("Best: overnight"),
    }


def loss_names() -> dict[str, str]:
    """Losses by contract key; several are summed."""
    return {
        "ce": tr("Cross-entropy"),
        "bce": tr("Binary cross-entropy"),
        "dice": tr("Dice"),
        "dice_wang": tr("Dice, improved (Wang 2020)"),
        "focal": tr("Focal"),
        "tversky": tr("Tversky"),
        "unified_focal": tr("Unified Focal"),
        "unified_focal_asymmetric": tr("Unified Focal, asymmetric"),
        "lovasz": tr("Lovász"),
    }


def augmentation_names() -> dict[str, str]:
    """Kinds of augmentation by contract key."""
    return {
        "flip": tr("Mirror"),
        "turn": tr("Turn by right angles"),
        "rotate": tr("Turn freely"),
        "scale": tr("Scale"),
        "shift": tr("Shift"),
        "brightness": tr("Brightness and contrast"),
        "noise": tr("Noise"),
        "band_dropout": tr("Leave a band out"),
        "cutmix": tr("Mix two crops"),
        "copy_paste": tr("Copy rare classes in"),
    }


def class_weight_names() -> dict[str, str]:
    """How classes are weighed in the loss, by contract key."""
    return {
        "auto": tr("found for you"),
        "none": tr("none: every pixel counts the same"),
        "sqrt": tr("square root of rarity"),
        "inverse": tr("rarity"),
        "median": tr("median frequency"),
        "effective": tr("effective number of pixels"),
    }


def monitor_names() -> dict[str, str]:
    """Scores that decide which epoch is kept, by contract key."""
    return {
        "miou": tr("Mean IoU of all classes"),
        "foreground_iou": tr("IoU of the objects"),
        "f1": tr("Mean F1"),
        "loss": tr("Loss"),
    }


def curve_names() -> dict[str, str]:
    """The same in the legend of the curves; where the loss decides, mean IoU is drawn."""
    return {
        "foreground_iou": tr("IoU of the objects"),
        "f1": tr("validation F1"),
    }


def start_names() -> dict[str, str]:
    """What the weights begin as."""
    return {
        "none": tr("nothing: learn from scratch"),
        "again": tr("an earlier run, after drawing more"),
        "model": tr("an earlier model (fine-tune)"),
        "encoder": tr("encoder weights from a file"),
        "imagenet": tr("ImageNet weights (More… only)"),
    }
