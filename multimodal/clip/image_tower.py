"""The picture side of CLIP: two convolutional towers that end in a grid of cells.

`MobileNetTower` is MobileNetV2 (Sandler et al. 2018) with its batch norm folded into the
convolutions; it starts from ImageNet weights. `ResidualTower` is a small residual network
(He et al. 2016) that learns the drawn world from nothing.
Both take pictures of any size with values 0 to 1; normalisation lives inside.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
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


class ResidualTower(nn.Module):
    """A stem and three residual stages, each halving the side: (b, 3, h, w) -> (b, c, h/16, w/16)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.channels = width * 8
        self.stem = nn.Conv2d(3, width, 5, stride=2, padding=2)
        self.stages = nn.ModuleList(
            ResidualStage(width * 2**i, width * 2 ** (i + 1)) for i in range(3)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem(self.normalize(pixels))
        for stage in self.stages:
            x = stage(x)
        return F.relu(x)


class ResidualStage(nn.Module):
    """Halves the side, then adds what two convolutions found."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 2, stride=2)
        self.norm1 = nn.GroupNorm(8, outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        y = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(y)))


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
