"""The names that photos are taught by: class names, everyday words, in English and Korean.

A concept is one name in both languages. A vocabulary is a set of concepts that compete in one
softmax. Everyday words carry what ImageNet's specific classes know to the words that people
type: a sorrel is a horse, so its photo is evidence for "horse", a little less for "animal".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from multimodal.labels import Label, label_sets, read_label_set

# each more general word of a class counts this much less than the one before
GENERALITY = 0.4


@dataclass
class Concepts:
    """Unique (English, Korean) names and the vocabularies over them.

    Attributes:
        names: Pairs of names.
        vocabularies: Vocabulary name to concept numbers.
    """

    names: list[tuple[str, str]] = field(default_factory=list)
    vocabularies: dict[str, list[int]] = field(default_factory=dict)
    _index: dict[tuple[str, str], int] = field(default_factory=dict)

    def number(self, en: str, ko: str) -> int:
        """The number of a concept, new or known."""
        if (en, ko) not in self._index:
            self._index[(en, ko)] = len(self.names)
            self.names.append((en, ko))
        return self._index[(en, ko)]

    def add(self, vocabulary: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Makes a vocabulary of names, in their order."""
        self.vocabularies[vocabulary] = [self.number(en, ko) for en, ko in pairs]


def everyday_pairs(labels: Sequence[Label]) -> list[tuple[str, str]]:
    """Unique everyday words of labels, as pairs of English and Korean."""
    pairs: dict[str, tuple[str, str]] = {}
    for label in labels:
        for en, ko in zip(label.everyday_en, label.everyday_ko, strict=True):
            pairs.setdefault(en, (en, ko))
    return list(pairs.values())


def everyday_matrix(labels: Sequence[Label], words: Sequence[tuple[str, str]]) -> Tensor:
    """How much a class is evidence for each everyday word: (labels, words), rows sum to 1.

    A class that stands among the words under its own name counts for it most.
    """
    index = {en: i for i, (en, _) in enumerate(words)}
    matrix = torch.zeros(len(labels), len(words))
    for row, label in enumerate(labels):
        chain = list(label.everyday_en)
        if label.en in index and label.en not in chain:
            chain.insert(0, label.en)
        for depth, word in enumerate(chain):
            matrix[row, index[word]] += GENERALITY**depth
    return matrix / matrix.sum(1, keepdim=True).clamp(min=1e-6)


def photo_concepts() -> tuple[Concepts, dict[str, Tensor]]:
    """The concepts of the photo recipe and, per labelled set, its evidence for everyday words.

    Returns:
        The concepts, and matrices ``imagenet`` (1000, words) and ``tiny_imagenet`` (200, words).
    """
    imagenet, tiny = read_label_set("imagenet"), read_label_set("tiny_imagenet")
    words = everyday_pairs([*imagenet, *tiny])
    concepts = Concepts()
    concepts.add("imagenet", [(label.en, label.ko) for label in imagenet])
    concepts.add("tiny_imagenet", [(label.en, label.ko) for label in tiny])
    concepts.add("everyday", words)
    for name in ("scenes", "coco80"):
        concepts.add(name, [(label.en, label.ko) for label in read_label_set(name)])
    known = set(concepts.names)
    others = [
        (label.en, label.ko)
        for name in label_sets()
        for label in read_label_set(name)
        if (label.en, label.ko) not in known
    ]
    concepts.add("others", list(dict.fromkeys(others)))  # no photos: Korean follows English
    return concepts, {
        "imagenet": everyday_matrix(imagenet, words),
        "tiny_imagenet": everyday_matrix(tiny, words),
    }
