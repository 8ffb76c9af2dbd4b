"""Zero-shot classification: which of these sentences lies nearest to the photo?"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """One label's score for one photo.

    Attributes:
        label: As the user typed it.
        probability: Share of the softmax over all labels given, or, where labels are
            independent, of its own sigmoid; 0 to 1. Not the chance of being true.
        cosine: Cosine between photo and label, -1 to 1.
    """

    label: str
    probability: float
    cosine: float


def cosines(images: Tensor, labels: Tensor) -> Tensor:
    """(images, dim) and (labels, dim), all unit vectors -> (images, labels)."""
    return images @ labels.T


def probabilities(
    cosine: Tensor, scale: float, *, independent: bool = False, bias: float | None = None
) -> Tensor:
    """Cosines to shares.

    Args:
        cosine: (..., labels).
        scale: Factor on cosines, 1 / temperature.
        independent: Each label on its own: sigmoid(scale * cosine + bias) as in SigLIP (Zhai et
            al. 2023). Models trained with a softmax have no bias; then the mean cosine of a
            row's labels is the point of 50 %, so that labels can be compared at least.
        bias: A sigmoid-trained model's learned offset.

    Returns:
        (..., labels), each row summing to 1 unless independent.
    """
    if not independent:
        return (cosine * scale).softmax(-1)
    if bias is None:
        return ((cosine - cosine.mean(-1, keepdim=True)) * scale).sigmoid()
    return (cosine * scale + bias).sigmoid()


def rank(labels: Sequence[str], cosine: Tensor, probability: Tensor) -> list[Prediction]:
    """One photo's predictions, best first; (labels,) each."""
    order = cosine.argsort(descending=True, stable=True).tolist()
    return [Prediction(labels[i], float(probability[i]), float(cosine[i])) for i in order]
