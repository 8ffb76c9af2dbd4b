"""How well a captioned gallery finds its own pictures and captions."""

from typing import TYPE_CHECKING

import numpy as np

from multimodal.errors import UserError

if TYPE_CHECKING:
    from multimodal.retrieval.gallery import Gallery


def recall_report(gallery: "Gallery") -> dict[str, float]:
    """Recall at 1, 5 and 10 over the captioned pictures of a gallery, both ways.

    Args:
        gallery: At least two of its pictures have captions.

    Returns:
        What `multimodal.retrieval.metrics.recall_at_k` does.

    Raises:
        UserError: if there is nothing to measure.
    """
    import torch

    from multimodal.retrieval.metrics import recall_at_k

    images, captions, owners = gallery.captioned()
    rows, image_of_text = np.unique(owners, return_inverse=True)
    if len(rows) < 2:
        raise UserError(
            "Recall is measured over pictures with captions, and this gallery has "
            f"{len(rows) or 'none'}: add photos with a captions file.",
            f"재현율은 설명이 있는 사진으로 재는데, 여기에는 {len(rows)}장뿐입니다. "
            "설명 파일과 함께 사진을 더하세요.",
        )
    return recall_at_k(
        torch.from_numpy(images.gather(rows)),
        torch.from_numpy(captions),
        torch.from_numpy(image_of_text),
    )
