"""ResNet-18 and ResNet-50 (He et al. 2016, arXiv:1512.03385) as encoders.

State names are those of torchvision (conv1, bn1, layer1.0.conv1, …, downsample.0), so files with such weights load. The
last stage is dilated instead of strided: one output pixel per 16 input pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
STRIDES, DILATIONS = (1, 2, 2, 1), (1, 1, 1, 2)


class Basic(nn.Module):
    """Two 3×3 convolutions beside a shortcut (ResNet-18)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = _convolution_3x3(inputs, width, stride, dilation)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution_3x3(width, width, 1, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, inputs, rows, cols) -> (batch, width, rows / stride, cols / stride)."""
        result = torch.relu(self.bn1(self.conv1(features)))
        return torch.relu(self.bn2(self.conv2(result)) + self.downsample(features))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut (ResNet-50)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution_3x3(width, width, stride, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, inputs, rows, cols) -> (batch, 4 · width, rows / stride, cols / stride)."""
        result = torch.relu(self.bn1(self.conv1(features)))
        result = torch.relu(self.bn2(self.conv2(result)))
        return torch.relu(self.bn3(self.conv3(result)) + self.downsample(features))


class ResNet(nn.Module):
    """Encoder that returns features at 1/4 and at 1/16 of the size.

    Attributes:
        low, high: their channels.
        layer_reach: (stride, reach to the left in pixels) of all layers, in order.
    """

    def __init__(self, name: str, bands: int) -> None:
        super().__init__()
        kind: type[Basic | Bottleneck] = Basic if name == "resnet18" else Bottleneck
        self.conv1 = nn.Conv2d(bands, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer_reach = [(2, 3), (2, 1)]
        stages, inputs = [], 64
        for number, depth in enumerate(DEPTHS[name]):
            width, stride, dilation = 64 * 2**number, STRIDES[number], DILATIONS[number]
            blocks: list[nn.Module] = []
            for index in range(depth):
                step = stride if index == 0 else 1
                blocks.append(kind(inputs, width, step, dilation))
                self.layer_reach += [(step, dilation)] + [(1, dilation)] * (kind is Basic)
                inputs = width * kind.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.low, self.high = 64 * kind.expansion, inputs

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (batch, low, rows / 4, cols / 4) and (batch, high, rows / 16, cols / 16)."""
        low = self.layer1(self.pool(torch.relu(self.bn1(self.conv1(image)))))
        return low, self.layer4(self.layer3(self.layer2(low)))


def _convolution_3x3(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
