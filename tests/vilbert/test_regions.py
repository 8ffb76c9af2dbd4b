from dataclasses import replace

import pytest
import torch
from PIL import Image

from multimodal.errors import UserError
from multimodal.vilbert.model import Vilbert
from multimodal.vilbert.regions import (
    DetectorRegions,
    GridRegions,
    boxes_with_area,
    giveaways,
    grid_boxes,
    region_source,
)


def test_boxes_of_a_grid_tile_the_picture():
    boxes = grid_boxes(2, 4)
    assert boxes.shape == (8, 5) and boxes[:, 4].sum() == pytest.approx(1)
    assert boxes[0].tolist() == [0, 0, 0.25, 0.5, 0.125]
    assert boxes[5].tolist() == [0.25, 0.5, 0.5, 1, 0.125]


def test_cells_stand_where_their_boxes_say(model):
    """Under a tower that only averages, a white patch changes the cell that it fills."""
    model.image_tower = torch.nn.AvgPool2d(8)
    source = GridRegions(model)
    before = source([Image.new("RGB", (64, 64))]).features
    for cell in (3, 6, 12):
        picture = Image.new("RGB", (64, 64))
        x1, y1, x2, y2, _ = source.boxes[cell].mul(64).int().tolist()
        picture.paste("white", (x1, y1, x2, y2))
        changed = (source([picture]).features - before).abs().sum(-1)[0]
        assert changed.argmax() == cell and changed[cell] > 0.9 * changed.sum()


def test_a_grid_that_the_tower_does_not_make_is_refused(tiny_vilbert_config):
    model = Vilbert(replace(tiny_vilbert_config, rows=tiny_vilbert_config.rows + 1))
    with pytest.raises(UserError, match="change rows and columns"):
        GridRegions(model)([Image.new("RGB", (20, 20))])


def test_neighbouring_cells_give_each_other_away():
    near = giveaways(grid_boxes(4, 4), "grid")
    assert near[5].nonzero()[:, 0].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert near[0].nonzero()[:, 0].tolist() == [0, 1, 4, 5] and torch.equal(near, near.T)


def test_boxes_of_a_detector_give_away_what_they_overlap():
    corners = torch.tensor([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.4], [0.4, 0.4, 0.9, 0.9], [0, 0, 0, 0]])
    near = giveaways(boxes_with_area(corners), "faster-rcnn")
    assert near.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]


class Backbone(torch.nn.Module):
    """Maps by name, as those of torchvision's own network."""

    out_channels = 8

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 8, 3, stride=16, padding=1)

    def forward(self, pixels):
        return {"0": self.layer(pixels)}


def test_a_detectors_regions_and_their_refusals(config, tmp_path, monkeypatch):
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.rpn import AnchorGenerator

    torch.manual_seed(0)
    backbone = Backbone()
    anchors = AnchorGenerator(((16, 32),), ((0.5, 1.0),))
    network = FasterRCNN(backbone, 5, rpn_anchor_generator=anchors, min_size=64, max_size=64)
    source = DetectorRegions(network, 9, ["nothing", "cat", "N/A", "dog", "cow"])
    found = source([Image.effect_noise((60, 40), 99).convert("RGB")])
    assert source.names == ("nothing", "cat", "dog", "cow") and found.concepts.shape == (1, 9, 4)
    assert torch.allclose(found.concepts[found.mask].sum(-1), torch.ones(()), atol=1e-5)
    assert found.features.shape == (1, 9, 1024) and found.boxes.shape == (1, 9, 5)
    kept = found.boxes[found.mask]
    assert len(kept) and (kept >= 0).all() and (kept <= 1 + 1e-5).all()
    assert found.features[~found.mask].abs().sum() == 0

    shape = {"regions": "faster-rcnn", "image_tower": "none", "rows": 1, "columns": 9}
    model = Vilbert(replace(config, **shape, region_features=1024))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError, match="take a model that was trained on grid regions"):
        region_source(model)
    (tmp_path / "torn.pth").write_bytes(b"torn")
    with pytest.raises(UserError, match="does not hold the weights"):
        region_source(model, tmp_path / "torn.pth")
