"""The loaders on small copies of the official layouts, made on the spot."""

import io
import json
import tarfile

import pytest
from PIL import Image

from multimodal.data import coco, flickr8k, folder, scenes, tiny_imagenet
from multimodal.data.captions import read_captions
from multimodal.data.photos import DataError, class_photos
from multimodal.data.sets import load_sets
from multimodal.images import open_image


def jpeg(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), colour).save(path, "JPEG")


def tar_of(place, names):
    with tarfile.open(place, "w") as tar:
        for name, colour in names.items():
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
            entry = tarfile.TarInfo(name)
            entry.size = len(buffer.getvalue())
            tar.addfile(entry, io.BytesIO(buffer.getvalue()))


@pytest.fixture
def coco_folder(tmp_path):
    images = [{"id": i, "file_name": f"{i:012}.jpg"} for i in (1, 2, 3)]
    captions = [
        {"image_id": 1, "id": 1, "caption": "A red boat. "},
        {"image_id": 1, "id": 2, "caption": "A boat at sea"},
        {"image_id": 2, "id": 3, "caption": "A cat"},
    ]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_train2017.json").write_text(
        json.dumps({"images": images, "annotations": captions})
    )
    instances = {
        "categories": [{"id": 9, "name": "boat"}, {"id": 17, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "category_id": 9},
            {"image_id": 1, "category_id": 9},
            {"image_id": 2, "category_id": 17},
        ],
    }
    (tmp_path / "annotations" / "instances_train2017.json").write_text(json.dumps(instances))
    for i in (1, 2):  # photo 3 is listed and missing
        jpeg(tmp_path / "train2017" / f"{i:012}.jpg")
    return tmp_path


def test_coco_official_layout(coco_folder):
    photos = coco.load(coco_folder, "train")
    assert [photo.captions for photo in photos] == [("A red boat.", "A boat at sea"), ("A cat",)]
    assert [photo.objects for photo in photos] == [("boat",), ("cat",)]
    assert open_image(photos[0].read()).size == (24, 16)


def test_coco_plain_object_list_and_missing_split(coco_folder):
    plain = coco_folder / "annotations" / "objects_train2017.json"
    plain.write_text(json.dumps({"1": ["boat", "person"]}))
    assert coco.load(coco_folder, "train")[0].objects == ("boat", "person")
    with pytest.raises(DataError, match=r"captions_val\*\.json"):
        coco.load(coco_folder, "val")


def test_flickr8k_both_caption_files(tmp_path):
    jpeg(tmp_path / "Flicker8k_Dataset" / "a.jpg")
    (tmp_path / "Flickr_8k.devImages.txt").write_text("a.jpg\nmissing.jpg\n")
    (tmp_path / "Flickr8k.token.txt").write_text("a.jpg#0\tA dog .\na.jpg#1\tIt runs\n")
    (photo,) = flickr8k.load(tmp_path, "val")
    assert photo.captions == ("A dog .", "It runs")
    (tmp_path / "captions.txt").write_text('image,caption\na.jpg,"A dog, running"\n')
    assert flickr8k.load(tmp_path, "val")[0].captions == ("A dog, running",)


def test_tiny_imagenet_official_layout(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    jpeg(root / "train" / "n01" / "images" / "n01_0.JPEG")
    jpeg(root / "train" / "n02" / "images" / "n02_0.JPEG")
    jpeg(root / "val" / "images" / "val_0.JPEG")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t9\t9\n")
    assert [p.label for p in tiny_imagenet.load(tmp_path, "train")] == ["n01", "n02"]
    assert [p.label for p in tiny_imagenet.load(root, "val")] == ["n02"]


def test_tiny_imagenet_knows_its_own_class_names(tmp_path):
    folder = tmp_path / "tiny-imagenet-200"
    (folder / "train" / "n01").mkdir(parents=True)
    (folder / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\tcat\n")
    assert tiny_imagenet.class_names(tmp_path)["n01"] == ("goldfish", "Carassius auratus")
    with tarfile.open(tmp_path / "tiny-imagenet.tar", "w") as tar:
        tar.add(folder, "tiny-imagenet-200")
    assert tiny_imagenet.class_names(tmp_path / "tiny-imagenet.tar")["n02"] == ("cat",)


def test_class_folders_in_a_tar(tmp_path):
    names = {"set/val/sea/b.png": "blue", "set/train/sea/a.png": "blue", "set/val/sea/x.txt": "red"}
    tar_of(tmp_path / "scenes.tar", names)
    (photo,) = scenes.load(tmp_path / "scenes.tar", "val")
    assert (photo.label, photo.name) == ("sea", "set/val/sea/b.png")
    assert open_image(photo.read()).getpixel((0, 0)) == (0, 0, 255)
    assert len(list(class_photos(tmp_path / "scenes.tar"))) == 2


def test_scenes_official_layout(tmp_path):
    jpeg(tmp_path / "seg_test" / "street" / "1.jpg")
    assert [photo.label for photo in scenes.load(tmp_path, "val")] == ["street"]


def test_a_folder_of_pairs(tmp_path):
    jpeg(tmp_path / "a.jpg")
    jpeg(tmp_path / "sub" / "b.jpg")
    jpeg(tmp_path / "no-caption.jpg")
    (tmp_path / "a.txt").write_text("a red square\n\n빨간 사각형\n")
    (tmp_path / "sub" / "b.txt").write_text("another\n")
    photos = folder.load(tmp_path)
    assert {p.name: p.captions for p in photos} == {
        "a.jpg": ("a red square", "빨간 사각형"),
        "sub/b.jpg": ("another",),
    }
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pair"):
        folder.load(tmp_path / "empty")


@pytest.mark.parametrize("text", ["", "nothing here", '{"images": []}', "image;caption\na;b"])
def test_a_file_that_holds_no_captions_is_refused(tmp_path, text):
    for name in ("captions.txt", "captions.json"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read_captions(tmp_path / name)


def test_a_folder_without_any_set_is_one_sentence(tmp_path):
    with pytest.raises(DataError) as caught:
        load_sets(tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path} holds no photos with captions: ") and text.count(". ") == 0


def test_a_broken_set_is_named_beside_it(tmp_path):
    (tmp_path / "scenes-6.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"scenes-6\.tar"):
        load_sets(tmp_path)
