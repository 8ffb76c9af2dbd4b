"""What the vision stream reads: regions of a picture, each with its features and its box.

`GridRegions` cuts a picture into the cells of the model's own image tower: no detector, no
download, any picture. `DetectorRegions` takes the boxes of torchvision's Faster R-CNN, where its
weights are on disk. A model is trained on one of them and refuses the other.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from multimodal.errors import UserError
from multimodal.vilbert.config import VilbertConfig
from multimodal.vilbert.model import Vilbert

DETECTOR_FEATURES = 1024
OVERLAP = 0.4  # of two boxes, from which on one gives the other away (12-in-1, Lu et al. 2020)


@dataclass(frozen=True)
class Regions:
    """Regions of pictures.

    Attributes:
        features: (pictures, regions, region_features) float32.
        boxes: (pictures, regions, 5): x1, y1, x2, y2 and area as shares of the picture.
        mask: (pictures, regions) bool, False where a picture has fewer regions.
        concepts: (pictures, regions, names) what a detector takes each for, as shares; a grid
            has none.
    """

    features: Tensor
    boxes: Tensor
    mask: Tensor
    concepts: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Tensor | slice) -> "Regions":
        return Regions(*(None if part is None else part[rows] for part in vars(self).values()))


def concatenate(regions: Sequence[Regions]) -> Regions:
    """Regions of several pictures, one after the other."""
    parts = zip(*(vars(one).values() for one in regions), strict=True)
    return Regions(*(None if part[0] is None else torch.cat(part) for part in parts))


def boxes_with_area(corners: Tensor) -> Tensor:
    """ViLBERT's five numbers: x1, y1, x2, y2 (..., 4) -> x1, y1, x2, y2, area (..., 5)."""
    area = (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])
    return torch.cat([corners, area.unsqueeze(-1)], -1)


def grid_boxes(rows: int, columns: int) -> Tensor:
    """Boxes of a grid's cells, row by row: (rows * columns, 5)."""
    top, left = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    corners = [left / columns, top / rows, (left + 1) / columns, (top + 1) / rows]
    return boxes_with_area(torch.stack(corners, -1).flatten(0, 1))


def giveaways(boxes: Tensor, regions: str) -> Tensor:
    """Which regions tell what another shows, and so must be hidden with it.

    Args:
        boxes: (regions, 5).
        regions: ``grid``, where a cell's convolutions look far into the cells that touch it, or
            ``faster-rcnn``, where boxes overlap.

    Returns:
        (regions, regions) bool; a region gives itself away.
    """
    x1, y1, x2, y2, area = boxes.unbind(-1)
    width = torch.minimum(x2[:, None], x2) - torch.maximum(x1[:, None], x1)
    height = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)
    if regions == "grid":
        return (width > -1e-4) & (height > -1e-4)
    shared = width.clamp(min=0) * height.clamp(min=0)
    union = area[:, None] + area - shared
    return (shared > OVERLAP * union) | torch.eye(len(boxes), dtype=torch.bool)


class GridRegions:
    """Cells of the model's image tower."""

    kind = "grid"

    def __init__(self, model: Vilbert) -> None:
        self.model, self.config = model, model.config
        self.boxes = grid_boxes(self.config.rows, self.config.columns)

    def preprocess(self, image: Image.Image) -> Tensor:
        """Squeezes an RGB picture square: (3, image_size, image_size) in 0..1."""
        side = self.config.image_size
        image = image.convert("RGB").resize(
            (side, side), Image.Resampling.BICUBIC, reducing_gap=3.0
        )
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.view(side, side, 3).permute(2, 0, 1).float().div_(255)

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image.Image]) -> Regions:
        """Regions of RGB pictures of any size."""
        pixels = torch.stack([self.preprocess(image) for image in images])
        return self.of_pixels(pixels.contiguous(memory_format=torch.channels_last))

    def of_pixels(self, pixels: Tensor) -> Regions:
        """Regions of preprocessed pictures, (batch, 3, image_size, image_size) in 0..1."""
        features = self.model.grid(pixels)
        return Regions(
            features,
            self.boxes.to(features.device).expand(len(features), -1, -1),
            torch.ones(features.shape[:2], dtype=torch.bool, device=features.device),
        )


class DetectorRegions:
    """The likeliest boxes of torchvision's Faster R-CNN (Ren et al. 2015), best first."""

    kind = "faster-rcnn"

    def __init__(self, network: nn.Module, count: int, names: Sequence[str]) -> None:
        """Wraps a detector.

        Args:
            network: The detector.
            count: Boxes per picture.
            names: Its classes; those called ``N/A`` do not exist.
        """
        self.network = network.eval().requires_grad_(False)
        self.count = count
        self._classes = [i for i, name in enumerate(names) if name != "N/A"]
        self.names = tuple(names[i] for i in self._classes)
        # of everything that it sees, not only of what it is sure of
        self.network.roi_heads.score_thresh = 0.0
        self.network.roi_heads.detections_per_img = count
        self._lock = threading.Lock()

    @classmethod
    def load(cls, file: Path | None, count: int) -> "DetectorRegions":
        """Reads the weights of `fasterrcnn_resnet50_fpn` from disk.

        Args:
            file: The weights; None looks where torchvision keeps its downloads.
            count: Boxes per picture.

        Raises:
            UserError: if there are none, or they are not this network's.
        """
        from torchvision.models.detection import (
            FasterRCNN_ResNet50_FPN_Weights,
            fasterrcnn_resnet50_fpn,
        )

        if file is None:
            folder = Path(torch.hub.get_dir()) / "checkpoints"
            found = sorted(folder.glob("fasterrcnn_resnet50_fpn_coco*.pth"))
            if not found:
                raise UserError(
                    "This model reads the regions of torchvision's Faster R-CNN, whose weights "
                    f"are not in {folder}: put fasterrcnn_resnet50_fpn_coco*.pth there, "
                    "or take a model that was trained on grid regions."
                )
            file = found[-1]
        network = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        try:
            network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        except Exception as error:  # any torn or foreign file, in torch's many ways to say so
            raise UserError(
                f"{file} does not hold the weights of torchvision's fasterrcnn_resnet50_fpn."
            ) from error
        return cls(network, count, FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image.Image]) -> Regions:
        """Regions of RGB pictures of any size."""
        return concatenate([self._one(image) for image in images])

    def _one(self, image: Image.Image) -> Regions:
        from torchvision.transforms.v2.functional import pil_to_tensor

        net = self.network
        pixels = pil_to_tensor(image.convert("RGB")).float() / 255
        with self._lock:
            inputs, _ = net.transform([pixels])
            maps = net.backbone(inputs.tensors)
            proposals, _ = net.rpn(inputs, maps)
            (found,), _ = net.roi_heads(maps, proposals, inputs.image_sizes)
            corners = found["boxes"]  # (boxes, 4) in pixels of the resized picture
            heads = net.roi_heads
            pooled = heads.box_roi_pool(maps, [corners], inputs.image_sizes)
            features = heads.box_head(pooled)  # (boxes, 1024)
            logits, _ = heads.box_predictor(features)
        height, width = inputs.image_sizes[0]
        corners = corners / corners.new_tensor([width, height, width, height])
        shares = logits[:, self._classes].softmax(-1)
        missing = self.count - len(corners)
        features, boxes, shares = (
            nn.functional.pad(part, (0, 0, 0, missing))[None]
            for part in (features, boxes_with_area(corners), shares)
        )
        return Regions(features, boxes, (torch.arange(self.count) < len(corners))[None], shares)


def region_source(model: Vilbert, detector: Path | None = None) -> GridRegions | DetectorRegions:
    """Where a model's regions come from, as it was trained.

    Args:
        model: The model.
        detector: Weights of Faster R-CNN.

    Raises:
        UserError: if a detector is given to a model of grid regions, or a detector's weights are
            not there.
    """
    config: VilbertConfig = model.config
    if config.regions == "grid":
        if detector is not None:
            raise UserError(
                "This model was trained on grid regions and cannot read those of a detector: "
                'leave --regions out, or train one with regions = "faster-rcnn".'
            )
        return GridRegions(model)
    return DetectorRegions.load(detector, config.region_count)
