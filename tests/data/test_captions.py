import zipfile

from multimodal.data.captions import captions_beside, folder_texts, zip_texts


def test_texts_beside_pictures_and_tables(tmp_path):
    (tmp_path / "trip").mkdir()
    (tmp_path / "trip" / "sea.txt").write_text("the sea\n\n바다\n", "utf-8")
    (tmp_path / "captions.txt").write_text('image,caption\ncat.jpg,"a cat, asleep"\n', "utf-8")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "broken.txt").write_text("image,caption\nonly one column\n")
    captions = captions_beside(folder_texts(tmp_path))
    assert captions["trip/sea.jpg"] == captions["trip/sea.PNG"] == ["the sea", "바다"]
    assert captions["cat.jpg"] == ["a cat, asleep"]
    assert "empty.jpg" not in captions


def test_a_zip_with_and_without_texts(tmp_path):
    with_texts, without = tmp_path / "a.zip", tmp_path / "b.zip"
    with zipfile.ZipFile(with_texts, "w") as packed:
        packed.writestr("cat.txt", "a cat")
    with zipfile.ZipFile(without, "w") as packed:
        packed.writestr("cat.jpg", b"")
    assert captions_beside(zip_texts(with_texts))["cat.jpg"] == ["a cat"]
    assert captions_beside(zip_texts(without)) == {}
