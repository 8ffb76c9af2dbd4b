"""Class embeddings of the large label sets, made beforehand and shipped with a model.

A thousand labels under seven templates take a CPU most of a minute. They are stored beside the
weights with the model's fingerprint; a file made by other weights is passed over.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from multimodal import checkpoint
from multimodal.clip.base import ClipModel
from multimodal.clip.prompts import LabelCache, templates_for
from multimodal.labels import read_label_set

FILE = "labels.safetensors"
SETS = ("imagenet", "tiny_imagenet", "coco80")


def build(name: str, sets: Sequence[str] = SETS) -> Path:
    """Embeds label sets in every language of a bundled model and stores them in its folder.

    Args:
        name: A bundled name or a checkpoint folder.
        sets: Keys of label sets.

    Returns:
        The file.
    """
    from safetensors.torch import save_file

    from multimodal import clip

    model = clip.load(name)
    labels = list(
        dict.fromkeys(
            label.name(code)
            for key in sets
            for label in read_label_set(key)
            for code in model.languages
        )
    )
    cache, tensors = LabelCache(), {}
    for kind, ensemble in (("single", False), ("ensemble", True)):
        tensors[kind] = cache.embed(model, labels, ensemble=ensemble).half()
    file = checkpoint.resolve(name) / FILE
    save_file(
        tensors,
        file,
        {"fingerprint": model.fingerprint, "labels": json.dumps(labels, ensure_ascii=False)},
    )
    return file


def prime(cache: LabelCache, model: ClipModel) -> None:
    """Puts a model's stored class embeddings into a cache; most models have none."""
    try:
        file = checkpoint.resolve(model.name) / FILE
    except checkpoint.CheckpointError:
        return
    if not file.is_file():
        return
    from safetensors import safe_open

    with safe_open(file, "pt") as stored:
        about = stored.metadata()
        if about.get("fingerprint") != model.fingerprint:
            return
        labels = json.loads(about["labels"])
        for kind, ensemble in (("single", False), ("ensemble", True)):
            rows = stored.get_tensor(kind).float()
            keys = [(model.fingerprint, templates_for(s, None, ensemble), s) for s in labels]
            cache.add(keys, rows / rows.norm(dim=1, keepdim=True))
