"""The picture side of CLIP: two convolutional towers that end in a grid of cells.

`MobileNetTower` is MobileNetV2 (Sandler et al. 2018) with its batch norm folded into the
convolutions; it starts from ImageNet weights. `ConvTower` is a plain stack that learns the drawn
world from nothing. Both take pictures of any size with values 0 to 1 (normalisation lives inside),
and say how their grid becomes one vector (`pool`, of `channels` numbers).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

# ImageNet's mean and standard deviation of red, green and blue, as torchvision's weights expect
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Pixels from 0..1 to zero mean and unit variance."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std


class MobileNetTower(nn.Module):
    """MobileNetV2's convolutions: (batch, 3, h, w) -> (batch, 1280, h / 32, w / 32)."""

    channels = 1280

    def __init__(self) -> None:
        from torchvision.models import mobilenet_v2

        super().__init__()
        self.normalize = Normalize()
        self.features = mobilenet_v2(weights=None).features.eval()
        fold_batch_norm(self.features)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.features(self.normalize(pixels))

    def pool(self, cells: Tensor) -> Tensor:
        """Average over the grid, as its ImageNet start does."""
        return cells.mean((2, 3))


class ConvTower(nn.Module):
    """Convolutions with batch norm (Ioffe & Szegedy 2015): (b, 3, h, w) -> (b, c, h / 8, w / 8).

    Three of them halve the side, and each of these is followed by one that widens.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.channels = 2 * 8 * width  # see `pool`
        self.layers = nn.Sequential(
            _convolution(3, width, stride=2),
            _convolution(width, 2 * width),
            _convolution(2 * width, 2 * width, stride=2),
            _convolution(2 * width, 4 * width),
            _convolution(4 * width, 4 * width, stride=2),
            _convolution(4 * width, 8 * width),
            _convolution(8 * width, 8 * width),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return self.layers(self.normalize(pixels))

    def pool(self, cells: Tensor) -> Tensor:
        """Average and maximum over the grid: a thing that fills one cell must still be seen."""
        return torch.cat([cells.mean((2, 3)), cells.amax((2, 3))], 1)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def fold_batch_norm(module: nn.Module) -> None:
    """Merges every batch norm into the convolution before it; the function stays the same.

    Folded networks are faster, and small batches cannot disturb statistics they do not keep.
    """
    previous_name, previous = "", None
    for name, child in list(module.named_children()):
        fold_batch_norm(child)
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
            setattr(module, previous_name, fuse_conv_bn_eval(previous, child))
            setattr(module, name, nn.Identity())
        previous_name, previous = name, child


def load_torchvision(tower: MobileNetTower, tensors: dict[str, Tensor]) -> None:
    """Starts the tower from torchvision's own MobileNetV2 weights.

    Args:
        tower: The tower to fill.
        tensors: State of `torchvision.models.mobilenet_v2()`; its classifier may be present.
    """
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2(weights=None).eval()
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    fold_batch_norm(network.features)
    tower.features.load_state_dict(network.features.state_dict())
