"""ViLBERT: questions about a picture, answered by two streams that read each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multimodal.vilbert.answering import VisualQuestionAnswerer


def load(name: str, detector: Path | None = None) -> VisualQuestionAnswerer:
    """Loads a ViLBERT model; nothing is ever downloaded.

    Args:
        name: A bundled name (``vilbert-photos``) or a checkpoint folder.
        detector: Weights of torchvision's Faster R-CNN, for a model that was trained on its
            regions; None looks where torchvision keeps its downloads.

    Raises:
        UserError: if it is not there or cannot be used, with the cure.
    """
    from multimodal.vilbert.answering import VisualQuestionAnswerer

    return VisualQuestionAnswerer.load(name, detector)
