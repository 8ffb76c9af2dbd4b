"""Labels become sentences, sentences become class embeddings.

A single template is Radford et al.'s default; the ensemble averages seven templates in embedding
space, the subset that their prompt-engineering notebook found by forward selection.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import torch
from torch import Tensor
from torch.nn import functional as F

from multimodal.clip.base import ClipModel
from multimodal.errors import UserError

DEFAULT_TEMPLATE = {"en": "a photo of a {}", "ko": "{} 사진"}
ENSEMBLE = {
    "en": (
        "itap of a {}.",
        "a bad photo of the {}.",
        "an origami {}.",
        "a photo of the large {}.",
        "a {} in a video game.",
        "art of the {}.",
        "a photo of the small {}.",
    ),
    "ko": (
        "{} 사진",
        "내가 찍은 {}",
        "흐릿한 {} 사진",
        "커다란 {} 사진",
        "작은 {} 사진",
        "{} 그림",
        "{}",
    ),
}
MAX_LABELS = 5000


def language_of(text: str) -> str:
    """``ko`` where a text has any Hangul, else ``en``."""
    return "ko" if any("가" <= c <= "힣" or "ㄱ" <= c <= "ㅣ" for c in text) else "en"


def fill(template: str, label: str) -> str:
    """Puts a label into a template.

    Raises:
        UserError: if the template has no ``{}``.
    """
    if "{}" not in template:
        raise UserError(
            f"The template {template!r} has no {{}} where the label belongs.",
            f"문장 {template!r}에 라벨이 들어갈 {{}}가 없습니다.",
        )
    return template.replace("{}", label)


def clean_labels(labels: Sequence[str]) -> list[str]:
    """Trimmed labels without empty ones and repeats, in order.

    Raises:
        UserError: if none is left or there are too many.
    """
    kept = list(dict.fromkeys(" ".join(str(label).split()) for label in labels))
    kept = [label for label in kept if label]
    if not kept:
        raise UserError(
            "There is no label: type at least one word to compare the photo with.",
            "라벨이 없습니다. 사진과 견줄 낱말을 하나 이상 쓰세요.",
        )
    if len(kept) > MAX_LABELS:
        raise UserError(
            f"There are {len(kept)} labels; at most {MAX_LABELS} are compared at once.",
            f"라벨이 {len(kept)}개입니다. 한 번에 {MAX_LABELS}개까지 견줄 수 있습니다.",
        )
    return kept


def templates_for(label: str, templates: Sequence[str] | None, ensemble: bool) -> tuple[str, ...]:
    """The templates that a label is put into: the user's own, or those of its language."""
    if templates:
        return tuple(templates)
    language = language_of(label)
    return ENSEMBLE[language] if ensemble else (DEFAULT_TEMPLATE[language],)


class LabelCache:
    """Class embeddings, kept by model, templates and label, so that nothing is encoded twice."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[tuple, Tensor] = OrderedDict()
        self._lock = Lock()

    def embed(
        self,
        model: ClipModel,
        labels: Sequence[str],
        *,
        templates: Sequence[str] | None = None,
        ensemble: bool = False,
    ) -> Tensor:
        """Class embeddings: each sentence's vector, averaged over the templates, of length 1.

        Args:
            model: Any CLIP model.
            labels: Class names, English and Korean mixed as you like.
            templates: Own templates with ``{}``; None takes the label's language's own.
            ensemble: Without own templates: the seven instead of the one.

        Returns:
            (len(labels), embed_dim).
        """
        keys = [
            (model.fingerprint, templates_for(label, templates, ensemble), label)
            for label in labels
        ]
        with self._lock:
            rows = {key: self._rows[key] for key in keys if key in self._rows}
        if missing := [key for key in dict.fromkeys(keys) if key not in rows]:
            fresh = _embed(model, missing)
            self.add(missing, fresh)
            rows |= zip(missing, fresh, strict=True)
        return torch.stack([rows[key] for key in keys])

    def add(self, keys: Sequence[tuple], rows: Tensor) -> None:
        """Keeps rows (len(keys), dim) under (fingerprint, templates, label) keys."""
        with self._lock:
            self._rows.update(zip(keys, rows, strict=True))
            while len(self._rows) > max(self._capacity, len(keys)):
                self._rows.popitem(last=False)


def embed_labels(
    model: ClipModel,
    labels: Sequence[str],
    *,
    templates: Sequence[str] | None = None,
    ensemble: bool = False,
) -> Tensor:
    """`LabelCache.embed` without a cache."""
    return LabelCache().embed(model, labels, templates=templates, ensemble=ensemble)


def _embed(model: ClipModel, keys: Sequence[tuple]) -> Tensor:
    sentences, owner = [], []
    for row, (_, templates, label) in enumerate(keys):
        sentences += [fill(template, label) for template in templates]
        owner += [row] * len(templates)
    vectors = model.encode_texts(sentences)
    sums = torch.zeros(len(keys), vectors.shape[1]).index_add_(0, torch.tensor(owner), vectors)
    return F.normalize(sums, dim=-1)
