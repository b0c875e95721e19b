"""A processor that rounds otherwise: what PyTorch does on some, made to happen on this one.

PyTorch multiplies matrices where a convolution of one image has few elements, and asks oneDNN where it has more. On
some processors both round alike, on others not. Here the small ones are added up in another order.
"""

import torch

SMALL_ELEMENTS = 20_480


def round_otherwise(monkeypatch):
    """Until the end of a test, convolutions of one small image in float32, and all in float64, round otherwise."""
    convolve, raise_up = torch.nn.Conv2d._conv_forward, torch.nn.ConvTranspose2d.forward

    def conv(self, features, weight, bias):
        if not alone(features):
            return convolve(self, features, weight, bias)
        if features.dtype == torch.float64:
            turn = features.shape[2] * features.shape[3] % 7
            return convolve(self, features.roll(turn, 1), weight.roll(turn, 1), bias)
        wide = convolve(self, features.double(), weight.double(), None if bias is None else bias.double())
        return wide.to(features.dtype)

    def conv_transpose(self, features):
        if not alone(features):
            return raise_up(self, features)
        bias = None if self.bias is None else self.bias.double()
        wide = torch.nn.functional.conv_transpose2d(
            features.double(), self.weight.double(), bias, self.stride
        )
        return wide.to(features.dtype)

    monkeypatch.setattr(torch.nn.Conv2d, "_conv_forward", conv)
    monkeypatch.setattr(torch.nn.ConvTranspose2d, "forward", conv_transpose)


def alone(features):
    """Whether PyTorch would not ask oneDNN for a convolution of 3 × 3."""
    if features.dtype == torch.float64:
        return True
    return features.dtype == torch.float32 and len(features) == 1 and features.numel() <= SMALL_ELEMENTS
