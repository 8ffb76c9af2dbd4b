import pytest
import torch
from PIL import Image

from multimodal.data.photos import DataError
from multimodal.evaluation.zero_shot import accuracy, evaluate, read_classes


def test_accuracy_golden_values():
    scores = torch.tensor([[9.0, 1, 0, 0, 0, 0], [1, 9, 0, 0, 0, 0], [9, 8, 7, 6, 5, 0]])
    figures = accuracy(scores, torch.tensor([0, 1, 5]))
    assert figures["top1"] == pytest.approx(200 / 3)
    assert figures["top5"] == pytest.approx(200 / 3)
    assert figures["mean_per_class"] == pytest.approx(200 / 3)
    assert figures["images"] == 3
    lopsided = accuracy(torch.eye(2)[[0, 0, 0, 0]], torch.tensor([0, 0, 0, 1]))
    assert lopsided["top1"] == pytest.approx(75) and lopsided["mean_per_class"] == 50


def test_a_set_is_read_by_folder(tmp_path, tiny_clip):
    for name in ("n1", "n2"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (20, 20), "red").save(tmp_path / "photos" / name / "a.png")
    classes = tmp_path / "classes.tsv"
    classes.write_text("n1\tboat, ship\nn2\tcat\n")
    assert read_classes(classes) == {"n1": "boat", "n2": "cat"}
    figures = evaluate(tiny_clip, tmp_path / "photos", classes)
    assert figures["images"] == 2 and figures["top1"] == 50  # one answer for two equal pictures
    classes.write_text("n1\tboat\n")
    with pytest.raises(DataError, match="no name for the folder 'n2'"):
        evaluate(tiny_clip, tmp_path / "photos", classes)
    with pytest.raises(DataError, match="no pictures"):
        (tmp_path / "none").mkdir()
        evaluate(tiny_clip, tmp_path / "none")
