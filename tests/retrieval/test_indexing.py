"""What a gallery takes in: photos new, changed and gone, zips, bad files, and a job that stops."""

import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from multimodal.images import ImageError
from multimodal.retrieval import Gallery, GalleryError


def test_what_is_embedded_is_skipped(add, place, model, photos):
    gallery = Gallery.create(place, model)
    add(gallery, photos)
    assert add(gallery, photos).skipped == 5 and len(gallery) == 5
    assert model.seen == 5
    red = photos / "red.png"
    red.touch()  # another time, the same contents
    assert add(gallery, photos).skipped == 5 and model.seen == 5


def test_changed_moved_copied_and_deleted_files(add, tmp_path, model, photos):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, photos)
    Image.new("RGB", (33, 20), "blue").save(photos / "red.png")  # changed
    (photos / "green.png").rename(photos / "grass.png")  # moved
    (photos / "copy.png").write_bytes((photos / "yellow.png").read_bytes())  # copied
    (photos / "sub" / "white.png").unlink()
    last = add(gallery, photos)
    assert (last.added, last.skipped) == (3, 2) and model.seen == 6
    for opened in (gallery, Gallery.open(tmp_path / "g", model)):
        found = {opened.item(i).name for i in opened.ids}
        assert found == {"red.png", "grass.png", "copy.png", "yellow.png", "blue.png"}
        assert len(opened) == 5 == len(opened.search("red", top_k=99).hits)
        assert opened.search("green", top_k=1).hits[0].name == "grass.png"
        assert opened.item(opened.search("green").hits[0].id).width == 40
    assert add(gallery, photos).skipped == 5


def test_bad_files_are_listed_and_the_rest_goes_on(add, place, model, photos):
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "letter.jpg").write_text("Dear class")
    whole = (photos / "red.png").read_bytes()
    (photos / "torn.png").write_bytes(whole[: len(whole) // 2])
    gallery = Gallery.create(place, model)
    last = add(gallery, photos)
    assert last.added == 5 == len(gallery) and last.done == 8
    assert {name for name, _ in last.bad} == {"empty.jpg", "letter.jpg", "torn.png"}
    assert all("'" + name + "'" in str(reason) for name, reason in last.bad)


def test_uploads_survive_their_files(add, tmp_path, model):
    upload = tmp_path / "upload.png"
    Image.new("RGB", (20, 20), "red").save(upload)
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, [upload], keep=True)
    data = upload.read_bytes()
    upload.unlink()
    gallery = Gallery.open(tmp_path / "g", model)
    assert gallery.picture(0).getpixel((3, 3)) == (255, 0, 0)
    assert gallery.path(0).read_bytes() == data
    assert add(gallery, [("again.png", data)]).skipped == 1


def test_pictures_without_files(add, place, model):
    gallery = Gallery.create(place, model)
    red, blue = Image.new("RGB", (9, 9), "red"), np.full((9, 9, 3), (0, 0, 255), np.uint8)
    last = add(gallery, [("scene 1", red), blue, ("scene 3", red)])
    assert (last.added, last.skipped) == (2, 1)  # the same picture twice is one
    assert [gallery.item(i).name for i in gallery.ids] == ["scene 1", "picture 2"]
    assert gallery.picture(1).getpixel((0, 0)) == (0, 0, 255)
    assert gallery.thumbnail(0, 4).size == (4, 4) and gallery.thumbnail(0, 4).size == (4, 4)


def test_a_zip(add, place, model, photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(photos.rglob("*.png")):
            archive.write(file, file.relative_to(photos).as_posix())
        archive.writestr("bad.jpg", b"no picture")
    gallery = Gallery.create(place, model)
    last = add(gallery, tmp_path / "photos.zip")
    assert (last.total, last.added, len(last.bad)) == (6, 5, 1)
    assert gallery.search("white", top_k=1).hits[0].name == "sub/white.png"
    assert gallery.picture(gallery.search("red").hits[0].id).size == (40, 30)


def test_errors_in_place_of_pictures_are_listed(add, model):
    gallery = Gallery.create(None, model)
    locked = ImageError("a.jpg is locked.")
    last = add(gallery, [("a.jpg", locked), Image.new("RGB", (5, 5))])
    assert last.bad == (("a.jpg", locked),) and last.added == 1


def test_progress(model, many, tmp_path):
    gallery = Gallery.create(tmp_path / "g", model)
    reports = list(gallery.add(many))
    done = [report.done for report in reports]
    assert done == sorted(done) and done[-1] == 60 and all(r.total == 60 for r in reports)
    assert len(reports) > 3 and reports[-1].rate > 0 and reports[-1].seconds > 0


def test_closing_keeps_what_is_embedded_and_adding_goes_on(add, tmp_path, model, many):
    gallery = Gallery.create(tmp_path / "g", model)
    job = gallery.add(many)
    first = next(job)
    assert 0 < first.added < 60
    job.close()
    assert len(gallery) == first.added == len(Gallery.open(tmp_path / "g", model))
    last = add(gallery, many)
    assert last.skipped == first.added and last.added == 60 - first.added
    assert len(Gallery.open(tmp_path / "g", model)) == 60


def test_stopping(tmp_path, model, many):
    gallery, stop = Gallery.create(tmp_path / "g", model), threading.Event()
    reports = []
    for report in gallery.add(iter(sorted(many.iterdir()) * 9), stop=stop):
        reports.append(report)
        stop.set()
    assert reports[-1].note == "Stopped" and 0 < reports[-1].done < 540
    assert len(Gallery.open(tmp_path / "g", model)) == len(gallery) == reports[-1].added


def test_two_jobs_do_not_mix(add, tmp_path, model, many):
    gallery = Gallery.create(tmp_path / "g", model)
    job = gallery.add(many)
    next(job)
    with pytest.raises(GalleryError, match="being added to"):
        next(gallery.add(many))
    with pytest.raises(GalleryError, match="another program"):
        next(Gallery.open(tmp_path / "g", model).add(many))
    job.close()
    assert add(gallery, many).done == 60


def test_what_another_program_added_is_seen(add, tmp_path, model, photos, many):
    first = Gallery.create(tmp_path / "g", model)
    second = Gallery.open(tmp_path / "g", model)
    add(first, photos)
    assert add(second, photos).skipped == 5
    add(second, many)
    assert len(first) == 5 and len(second) == 65
    assert add(first, many).skipped == 60 and len(first) == 65


def test_a_model_that_fails_loses_nothing(tmp_path, model, many, monkeypatch):
    gallery = Gallery.create(tmp_path / "g", model)
    job = gallery.add(many)
    done = next(job).added
    monkeypatch.setattr(model, "encode_pixels", lambda pixels: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(job)
    assert len(Gallery.open(tmp_path / "g", model)) >= done


def test_the_gallery_inside_the_photos_is_not_indexed(add, model, photos):
    gallery = Gallery.create(photos / "gallery", model)
    add(gallery, [("upload.png", Image.new("RGB", (9, 9), "red"))])
    gallery.thumbnail(0)
    assert add(gallery, photos).total == 5


def test_vectors_that_are_not_numbers_are_bad_files(add, model, photos, monkeypatch):
    encode = model.encode_pixels
    monkeypatch.setattr(model, "encode_pixels", lambda pixels: encode(pixels) * float("nan"))
    gallery = Gallery.create(None, model)
    last = add(gallery, photos)
    assert len(last.bad) == 5 and len(gallery) == 0
