import pytest

from multimodal.errors import UserError
from multimodal.labels import label_sets, read_label_set
from multimodal.training.concepts import everyday_matrix, everyday_pairs, photo_concepts


@pytest.mark.parametrize("name", label_sets())
def test_every_set_is_whole_in_both_languages(name):
    labels = read_label_set(name)
    assert len({label.en for label in labels}) == len(labels)
    for label in labels:
        assert label.en and any("가" <= c <= "힣" for c in label.ko), label
        assert len(label.everyday_en) == len(label.everyday_ko), label
    assert {"en", "ko", "file"} <= set(label_sets()[name])


def test_the_sizes_that_the_names_promise():
    sizes = {name: len(read_label_set(name)) for name in label_sets()}
    assert (sizes["imagenet"], sizes["tiny_imagenet"], sizes["coco80"]) == (1000, 200, 80)
    assert [label.en for label in read_label_set("cifar10")] == [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    with pytest.raises(UserError, match="no label set"):
        read_label_set("nothing")


def test_specific_classes_teach_everyday_words():
    imagenet = read_label_set("imagenet")
    words = everyday_pairs(imagenet)
    matrix = everyday_matrix(imagenet, words)
    index = {en: i for i, (en, _) in enumerate(words)}
    assert ((matrix.sum(1) - 1).abs() < 1e-5).all()
    tabby = matrix[281]
    assert tabby[index["cat"]] > tabby[index["animal"]] > 0
    assert tabby[index["dog"]] == 0


def test_concepts_are_shared_between_vocabularies():
    concepts, evidence = photo_concepts()
    assert len(set(concepts.names)) == len(concepts.names)
    assert len(concepts.vocabularies["imagenet"]) == 1000
    assert evidence["imagenet"].shape == (1000, len(concepts.vocabularies["everyday"]))
