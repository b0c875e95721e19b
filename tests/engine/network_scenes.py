"""Every network, small, with weights and statistics drawn at random, so that nothing is zero by chance."""

import torch

from geoseg_engine.models import build

BANDS, CLASSES = 3, 4
SMALL = {
    "unet": {"width": 4, "levels": 3},
    "attention_resunet": {"width": 4, "levels": 3},
    "resunet_a": {"width": 4, "levels": 2},
    "segnet": {"width": 4, "levels": 3},
    "deeplabv3plus": {"encoder": "resnet18"},
    "patchcnn": {"width": 4, "levels": 2},
}
NAMES = tuple(SMALL)


def architecture(name, bands=BANDS, classes=CLASSES, **settings):
    return {"name": name, "bands": bands, "classes": classes, **SMALL[name], **settings}


def small(name, **settings):
    """One network in evaluation mode whose normalisations have statistics as after training."""
    torch.manual_seed(0)
    return drawn(build(architecture(name, **settings)))


def drawn(network):
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            torch.nn.init.normal_(module.bias, 0, 0.3, generator=generator)
    return network.eval()
