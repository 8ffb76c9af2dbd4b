"""Any model on the drawn world, where every answer is known exactly."""

import torch

from multimodal import checkpoint
from multimodal.clip.base import ClipModel
from multimodal.data.toybox import (
    COLOURS,
    HELD_OUT,
    KINDS,
    Split,
    draw,
    full_caption,
    label,
    make_scene,
    single_scene,
)
from multimodal.evaluation.zero_shot import accuracy
from multimodal.retrieval.metrics import recall_at_k

PAIRS = tuple((colour, kind) for colour in COLOURS for kind in KINDS)
# far from the seeds that training draws from
SEED_OFFSET = 500_000_000


def evaluate(name: str, seed: int = 0, scenes: int = 1000) -> dict[str, float]:
    """Scores a model of any family on fresh scenes.

    Args:
        name: A bundled name, a checkpoint folder, or ``openclip:ARCHITECTURE/TAG``.
        seed: Chooses the scenes.
        scenes: How many.

    Returns:
        The family's figures: those of `evaluate_clip` below, or of `evaluate_toybox` in
        `evaluation.vqvae`, `evaluation.dalle` or `evaluation.vqa`.

    Raises:
        UserError: if the model is not there or of another family.
    """
    openclip = str(name).startswith("openclip:")
    family = "clip" if openclip else checkpoint.read_manifest(checkpoint.resolve(name)).family
    if family == "clip":
        from multimodal import clip

        return evaluate_clip(clip.load(name), seed, scenes)
    if family == "vqvae":
        from multimodal.dalle import load_vqvae
        from multimodal.evaluation import vqvae
        from multimodal.evaluation.judge import Judge

        return vqvae.evaluate_toybox(load_vqvae(name), Judge.load(), seed, scenes)
    if family == "dalle":
        from multimodal import dalle
        from multimodal.evaluation.dalle import evaluate_toybox
        from multimodal.evaluation.judge import Judge

        return evaluate_toybox(dalle.load(name), Judge.load(), seed, scenes)
    if family == "vilbert":
        from multimodal import vilbert
        from multimodal.evaluation.vqa import evaluate_toybox as ask

        return ask(vilbert.load(name), seed, scenes)
    raise checkpoint.CheckpointError(f"{name} holds a {family}, which cannot be measured this way.")


def evaluate_clip(model: ClipModel, seed: int = 0, scenes: int = 1000) -> dict[str, float]:
    """Scores a CLIP model on fresh scenes.

    Args:
        model: Any CLIP model.
        seed: Chooses the scenes.
        scenes: Number of scenes for retrieval; as many pictures of one thing are classified.

    Returns:
        In per cent: zero_shot, right among all colour-kind labels, on combinations seen in
        training; held_out, the same on combinations never seen; t2i_r1, a full English caption
        finds its scene among `scenes` with distinct captions; korean_t2i_r1 and
        korean_zero_shot, the same in Korean.
    """
    first = SEED_OFFSET + seed * 1_000_003
    seen = [pair for pair in PAIRS if pair not in HELD_OUT]
    labels = {
        code: model.encode_texts([label(*pair, code) for pair in PAIRS]) for code in ("en", "ko")
    }

    def classify(pairs: list[tuple[str, str]], count: int) -> dict[str, float]:
        shown = [pairs[i % len(pairs)] for i in range(count)]
        images = _embed(model, [single_scene(*p, first + i) for i, p in enumerate(shown)])
        truth = torch.tensor([PAIRS.index(pair) for pair in shown])
        return {code: accuracy(images @ rows.T, truth)["top1"] for code, rows in labels.items()}

    usual, unseen = classify(seen, scenes), classify(list(HELD_OUT), max(scenes // 2, 1))
    drawn, found, i = [], set(), 0
    while len(drawn) < scenes:
        scene = make_scene(first + i, split=Split.VAL)
        i += 1
        if (caption := full_caption(scene, "en")) not in found:
            found.add(caption)
            drawn.append(scene)
    images, own = _embed(model, drawn), torch.arange(scenes)
    english, korean = (
        recall_at_k(images, model.encode_texts([full_caption(s, code) for s in drawn]), own)
        for code in ("en", "ko")
    )
    return {
        "zero_shot": usual["en"],
        "t2i_r1": english["t2i_r1"],
        "held_out": unseen["en"],
        "korean_t2i_r1": korean["t2i_r1"],
        "korean_zero_shot": usual["ko"],
    }


def _embed(model: ClipModel, scenes: list) -> torch.Tensor:
    side = max(model.image_size, 64)
    return torch.cat(
        [
            model.encode_images([draw(scene, side) for scene in scenes[first : first + 64]])
            for first in range(0, len(scenes), 64)
        ]
    )
