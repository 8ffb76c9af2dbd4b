"""How well a DALL-E foretells image tokens, and whether its pictures show what was asked for."""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from multimodal.clip.base import ClipModel
from multimodal.dalle.pipeline import TextToImage
from multimodal.dalle.transformer import Dalle
from multimodal.data.captions import read_captions
from multimodal.data.photos import DataError, Photo, class_photos
from multimodal.data.toybox import Scene, Split, full_caption, small_scenes
from multimodal.evaluation.judge import Judge, judge_accuracy
from multimodal.evaluation.retrieval import files_of
from multimodal.images import open_image

BATCH = 25
GROUP = 100  # captions that a picture must find its own among
# far from the seeds that training draws from
SEED_OFFSET = 500_000_000
SCENE_PROMPTS = {
    "buildings": "buildings",
    "forest": "a forest",
    "glacier": "a glacier",
    "mountain": "a mountain",
    "sea": "the sea",
    "street": "a street",
}


@torch.inference_mode()
def evaluate(
    model: TextToImage, clip: ClipModel, images: Path, captions: Path, groups: int = 2
) -> dict[str, float]:
    """Scores a DALL-E on captioned photos.

    Args:
        model: The DALL-E.
        clip: Judges which caption a generated picture fits.
        images: Folder of the photos.
        captions: `captions.txt` or COCO's captions JSON.
        groups: Hundreds of captions that pictures are drawn for.

    Returns:
        In nats per image token: nats_per_token under the right caption; shuffled_caption_nats
        under another photo's; uniform_nats, all codes alike; unigram_nats, each code by its
        frequency in these very photos. caption_r1_of_100, in per cent: a drawn picture's own
        caption comes first among 100. tokens_per_second, of four pictures together.

    Raises:
        DataError: if no captioned photo is there, or fewer than a hundred.
    """
    lines = {name: texts for name, texts in read_captions(captions).items() if texts}
    photos = files_of(Path(images), lines)
    if len(photos) < GROUP:
        raise DataError(
            f"{images} holds {len(photos)} of the photos that {captions} names; "
            f"at least {GROUP} are needed."
        )
    said = [lines[name][0] for name, _ in photos]
    tokenizer = model.tokenizer
    ids = torch.cat(
        [
            tokenizer.encode(
                [
                    open_image(file, at_least=tokenizer.image_size)
                    for _, file in photos[first : first + BATCH]
                ]
            )
            for first in range(0, len(photos), BATCH)
        ]
    ).flatten(1)
    counts = torch.bincount(ids.flatten(), minlength=tokenizer.codes).double()
    share = counts / counts.sum()
    others = said[len(said) // 2 :] + said[: len(said) // 2]
    found, rate = [], 0.0
    for group in range(min(groups, len(said) // GROUP)):
        own = said[group * GROUP : (group + 1) * GROUP]
        drawn, rate = _draw(model, own, group * GROUP)
        similar = clip.encode_images(drawn) @ clip.encode_texts(own).T
        found.append((similar.argmax(1) == torch.arange(GROUP)).double())
    return {
        "nats_per_token": nats(model.dalle, model.captions(said), ids),
        "uniform_nats": float(np.log(tokenizer.codes)),
        "unigram_nats": float(-(share * share.clamp(min=1e-12).log()).sum()),
        "shuffled_caption_nats": nats(model.dalle, model.captions(others), ids),
        "caption_r1_of_100": 100 * float(torch.cat(found).mean()),
        "tokens_per_second": rate,
    }


@torch.no_grad()
def nats(dalle: Dalle, text: Tensor, image: Tensor) -> float:
    """Mean cross-entropy of image tokens under captions, in nats per token.

    Args:
        dalle: The model.
        text: (pictures, text_tokens + 1).
        image: (pictures, image_tokens).
    """
    device = next(dalle.parameters()).device
    total = 0.0
    for some_text, some_image in zip(text.split(BATCH), image.split(BATCH), strict=True):
        some_image = some_image.to(device)
        _, logits = dalle(some_text.to(device), some_image)
        total += len(some_image) * float(dalle.image_loss(logits, some_image))
    return total / len(image)


def evaluate_scenes(
    model: TextToImage, clip: ClipModel, place: Path, pictures: int = 40, seed: int = 0
) -> dict[str, float]:
    """Does a picture show the scene that was asked for, and its light?

    A judge is trained on the real photos: a linear layer on a CLIP's picture embeddings.

    Args:
        model: The DALL-E.
        clip: Gives the judge its view of pictures.
        place: Scene photos, class per folder, a folder or a tar. Where it has `train` and `val`,
            the judge learns from the first and is measured on the second; else halves.
        pictures: Pictures drawn for each of the six classes.
        seed: Of the drawing.

    Returns:
        In per cent: scene_obeyed, the judge sees the scene of the prompt; scene_judge_accuracy,
        the judge on real photos it has not seen; light_obeyed, of two pictures the one asked to
        be dark is darker than the one asked to be bright.

    Raises:
        DataError: if the place does not hold the six classes.
    """
    kinds = list(SCENE_PROMPTS)
    train, val = _split([p for p in class_photos(place) if p.label in kinds])
    if {photo.label for photo in train} != set(kinds):
        raise DataError(f"{place} does not hold the folders {', '.join(kinds)}.")
    judge = _SceneJudge(clip, model.tokenizer.image_size, kinds)
    judge.learn(train)
    prompts = [prompt for prompt in SCENE_PROMPTS.values() for _ in range(pictures)]
    truth = torch.arange(len(kinds)).repeat_interleave(pictures)
    drawn, _ = _draw(model, prompts, seed)
    light = {}
    for word in ("dark", "bright"):
        asked = [_with(word, prompt) for prompt in prompts]
        # the same seeds for both, so that only the word differs
        light[word] = torch.tensor(
            [float(np.asarray(i).mean()) for i in _draw(model, asked, seed)[0]]
        )
    return {
        "scene_obeyed": 100 * float((judge(drawn) == truth).double().mean()),
        "scene_judge_accuracy": judge.accuracy(val),
        "light_obeyed": 100 * float((light["dark"] < light["bright"]).double().mean()),
    }


def evaluate_toybox(
    model: TextToImage, judge: Judge, seed: int = 0, scenes: int = 200
) -> dict[str, float]:
    """Does a picture show everything that the prompt names? The judge looks.

    Args:
        model: The DALL-E, at its default sampling, one picture a prompt.
        judge: The detector of the drawn world.
        seed: Chooses prompts and pictures.
        scenes: Prompts of each kind; they name one or two things.

    Returns:
        In per cent: obeyed, English; obeyed_korean, the same prompts in Korean; obeyed_held_out,
        prompts with a combination of colour and kind that training never showed; judge_accuracy,
        the judge on real scenes.
    """
    first = SEED_OFFSET + seed * 1_000_003
    usual, unseen = (small_scenes(split, first, scenes) for split in (Split.VAL, Split.HELD_OUT))

    def obeyed(wanted: list[Scene], language: str) -> float:
        prompts = [full_caption(scene, language) for scene in wanted]
        drawn, _ = _draw(model, prompts, first)
        return 100 * float(np.mean(judge.obeys(drawn, prompts)))

    return {
        "obeyed": obeyed(usual, "en"),
        "obeyed_held_out": obeyed(unseen, "en"),
        "obeyed_korean": obeyed(usual, "ko"),
        "judge_accuracy": judge_accuracy(judge, seed, scenes)["judge_accuracy"],
    }


def _draw(model: TextToImage, prompts: list[str], seed: int) -> tuple[list[Image.Image], float]:
    """A picture for each prompt, and the tokens per second of the last batch."""
    images, rate = [], 0.0
    for first in range(0, len(prompts), BATCH):
        drawing = model.draw_each(prompts[first : first + BATCH], seed + first)
        images += drawing.images
        rate = drawing.tokens_per_second
    return images, rate


def _with(word: str, prompt: str) -> str:
    """A scene's prompt with an adjective before its noun."""
    *article, noun = prompt.split(" ")
    return " ".join([*article, word, noun])


def _split(photos: list[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Photos to learn from and photos to be measured on."""
    train = [photo for photo in photos if "/train/" in f"/{photo.name}"]
    val = [photo for photo in photos if "/val/" in f"/{photo.name}"]
    if train and val:
        return train, val
    mixed = random.Random(0).sample(photos, len(photos))
    return mixed[::2], mixed[1::2]


class _SceneJudge:
    """A linear classifier of scenes on a CLIP's picture embeddings.

    It sees photos at the size that the DALL-E draws, so that softness alone betrays nothing.
    """

    LEARNED = 1500  # photos are enough for a linear layer

    def __init__(self, clip: ClipModel, side: int, kinds: list[str]) -> None:
        self.clip, self.side, self.kinds = clip, side, kinds
        self.layer = torch.nn.Linear(clip.embed_dim, len(kinds))

    def learn(self, photos: list[Photo]) -> None:
        chosen = random.Random(0).sample(photos, min(len(photos), self.LEARNED))
        vectors, truth = self._embed(chosen), self._numbers(chosen)
        optimizer = torch.optim.LBFGS(self.layer.parameters(), max_iter=100)

        def closure() -> Tensor:
            optimizer.zero_grad()
            weights = self.layer.weight.square().sum()
            loss = F.cross_entropy(self.layer(vectors), truth) + 1e-4 * weights
            loss.backward()
            return loss

        optimizer.step(closure)

    @torch.no_grad()
    def __call__(self, images: list[Image.Image]) -> Tensor:
        return self.layer(self.clip.encode_images(images)).argmax(1)

    @torch.no_grad()
    def accuracy(self, photos: list[Photo]) -> float:
        right = self.layer(self._embed(photos)).argmax(1) == self._numbers(photos)
        return 100 * float(right.double().mean())

    def _embed(self, photos: list[Photo]) -> Tensor:
        size, vectors = (self.side, self.side), []
        for first in range(0, len(photos), BATCH):
            part = photos[first : first + BATCH]
            small = [open_image(p.read()).resize(size, Image.Resampling.BICUBIC) for p in part]
            vectors.append(self.clip.encode_images(small))
        return torch.cat(vectors).clone()

    def _numbers(self, photos: list[Photo]) -> Tensor:
        return torch.tensor([self.kinds.index(photo.label) for photo in photos])
