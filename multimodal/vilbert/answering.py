"""Asks a trained ViLBERT: answers with confidence, and what they rest on."""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from multimodal import checkpoint
from multimodal.errors import UserError
from multimodal.images import open_image
from multimodal.text.tokenizer import MASK, SPECIAL, TextTokenizer, pad
from multimodal.vilbert.config import VilbertConfig
from multimodal.vilbert.model import AttentionMap, Vilbert, VilbertOutput
from multimodal.vilbert.regions import (
    DetectorRegions,
    GridRegions,
    Regions,
    giveaways,
    region_source,
)
from multimodal.vilbert.relevance import Relevance, relevance

CACHED_PHOTOS = 64
BATCH = 64


@dataclass(frozen=True)
class Answer:
    """One answer, word or concept, and how sure the model is of it.

    Attributes:
        text: What is answered.
        probability: 0 to 1. Of a free answer: that people accept it, so that several may be
            likely; where one of a list is chosen, and for hidden words and regions: a share.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Explanation:
    """What happened inside while a question was answered.

    Attributes:
        answer: The answer that is explained.
        words: Word pieces of the question, [CLS] first and [SEP] last.
        boxes: (regions, 4): x1, y1, x2, y2 of every region as shares of the photo.
        grid: Rows and columns of the regions, or None where they are no grid.
        maps: Attention maps in the order the layers run; in the vision stream the global token
            comes first and then the regions.
        relevance: What the answer rests on.
    """

    answer: Answer
    words: list[str]
    boxes: Tensor
    grid: tuple[int, int] | None
    maps: list[AttentionMap]
    relevance: Relevance


class VisualQuestionAnswerer:
    """A two-stream model with its tokenizer and its regions.

    Attributes:
        name: What it was loaded by.
        fingerprint: Digest of weights and configuration.
        languages: Codes of the languages it was trained on.
        answers: All it can answer.
    """

    def __init__(
        self,
        model: Vilbert,
        tokenizer: TextTokenizer,
        name: str,
        fingerprint: str,
        source: GridRegions | DetectorRegions | None = None,
    ) -> None:
        self.name, self.fingerprint = name, fingerprint
        self.model = model.eval().requires_grad_(False)
        self.config, self.tokenizer = model.config, tokenizer
        if model.image_tower is not None:
            model.image_tower.to(memory_format=torch.channels_last)
        self.languages, self.answers = self.config.languages, self.config.answers
        self._numbers = {answer: i for i, answer in enumerate(self.answers)}
        self._source = source or GridRegions(model)
        self._cache: OrderedDict[str, Regions] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, name: str | Path, detector: Path | None = None) -> "VisualQuestionAnswerer":
        """Loads a bundled model or a checkpoint folder.

        Args:
            name: A bundled name or a folder.
            detector: See `multimodal.vilbert.load`.

        Raises:
            UserError: if it is missing, torn, foreign, not a ViLBERT model, or made for other
                regions.
        """
        loaded = checkpoint.load(name, "vilbert")
        config = VilbertConfig.from_dict(loaded.manifest.config)
        model = Vilbert(config)
        checkpoint.fill(model, loaded)
        tokenizer = TextTokenizer.from_json(loaded.tokenizer or "", config.text.max_tokens)
        if tokenizer.vocab_size != config.text.vocab_size:
            raise checkpoint.CheckpointError(
                f"The tokenizer in {loaded.manifest.folder} has {tokenizer.vocab_size} pieces, "
                f"the model {config.text.vocab_size}: copy the checkpoint folder again."
            )
        source = region_source(model, detector)
        return cls(model, tokenizer, str(name), loaded.manifest.fingerprint, source)

    # --- pictures ------------------------------------------------------------------------------

    def regions(self, image: Image.Image) -> Regions:
        """Regions of one photo; those of the latest photos are kept.

        Raises:
            UserError: if there is no photo.
        """
        image = open_image(image)  # upright RGB, whatever it was
        key = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        found = self._source([image])
        with self._lock:
            self._cache[key] = found
            while len(self._cache) > CACHED_PHOTOS:
                self._cache.popitem(last=False)
        return found

    def encode_images(self, images: Sequence[Image.Image]) -> Regions:
        """Regions of many RGB pictures, nothing kept."""
        return self._source(images)

    def blank(self) -> Regions:
        """A picture of which nothing is seen: all its regions are padding."""
        count, width = self.config.region_count, self.config.region_features
        mask = torch.zeros(1, count, dtype=torch.bool)
        return Regions(torch.zeros(1, count, width), torch.zeros(1, count, 5), mask)

    # --- questions -----------------------------------------------------------------------------

    def answer(
        self,
        image: Image.Image,
        question: str,
        top_k: int = 5,
        only: Sequence[str] | None = None,
    ) -> list[Answer]:
        """Answers a question about a photo.

        Args:
            image: A photo of any size.
            question: The question.
            top_k: How many answers, the best first.
            only: Choose among these answers alone; their probabilities then sum to 1.

        Raises:
            UserError: if the photo or the question is missing, or an answer of `only` is not
                among those the model knows.
        """
        return self._answer(self.regions(image), question, top_k, only)

    def answer_blind(
        self, question: str, top_k: int = 5, only: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answers without having seen anything: what the words of the question alone suggest."""
        return self._answer(self.blank(), question, top_k, only)

    def _answer(
        self, regions: Regions, question: str, top_k: int, only: Sequence[str] | None
    ) -> list[Answer]:
        logits = self.logits(regions, [_text(question, "question")])[0]
        if only is None:
            return _best(self.answers, logits.sigmoid(), top_k)
        rows = [self._number(text) for text in dict.fromkeys(only)]
        if not rows:
            raise UserError(
                "The list of allowed answers is empty: give at least one.",
                "허용할 답의 목록이 비어 있습니다. 하나 이상 쓰세요.",
            )
        return _best([self.answers[row] for row in rows], logits[rows].softmax(0), top_k)

    def _number(self, answer: str) -> int:
        text = answer.strip().lower()
        if text not in self._numbers:
            raise UserError(
                f"{self.name} does not know the answer {answer!r}: choose among the "
                f"{len(self.answers):,} it was trained on, such as {', '.join(self.answers[:5])}.",
                f"{self.name} 모델은 {answer!r}라는 답을 모릅니다. 배운 답 {len(self.answers):,}개 "
                f"가운데서 고르세요. 예: {', '.join(self.answers[:5])}.",
            )
        return self._numbers[text]

    def logits(
        self, regions: Regions, questions: Sequence[str], picture: Sequence[int] | None = None
    ) -> Tensor:
        """Scores of all answers to many questions, for measuring.

        Args:
            regions: Of the pictures.
            questions: The questions.
            picture: Which picture each is about; None: all about the first.

        Returns:
            (questions, answers).
        """
        return self._read(regions, questions, picture, self.model.answer_logits)

    @torch.inference_mode()
    def _read(
        self,
        regions: Regions,
        texts: Sequence[str],
        picture: Sequence[int] | None,
        head: Callable[[VilbertOutput], Tensor],
    ) -> Tensor:
        """What a head makes of each text and its picture, a row per text."""
        pictures = torch.tensor([0] * len(texts) if picture is None else list(picture))
        ids = self.tokenizer.ids(texts)
        # texts of like length share a batch, so that little padding is computed
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        parts = []
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            wanted, index = pictures[rows].unique(return_inverse=True)
            part = regions[wanted]
            out = self.model(
                *pad([ids[row] for row in rows]),
                part.features,
                part.boxes,
                region_mask=part.mask,
                picture=index,
            )
            parts.append(head(out))
        return torch.cat(parts)[torch.tensor(order).argsort()]

    # --- captions ------------------------------------------------------------------------------

    def aligned(self, image: Image.Image, captions: Sequence[str]) -> list[float]:
        """Probability that each caption belongs to the photo."""
        if not captions:
            return []
        told = [_text(caption, "caption") for caption in captions]
        return self.alignment(self.regions(image), told).sigmoid().tolist()

    def alignment(
        self, regions: Regions, captions: Sequence[str], picture: Sequence[int] | None = None
    ) -> Tensor:
        """Logits of the alignment of many captions, (captions,); arguments as `logits`."""
        return self._read(regions, captions, picture, self.model.alignment_logits)

    @torch.inference_mode()
    def fill_mask(self, image: Image.Image | None, caption: str, top_k: int = 5) -> list[Answer]:
        """The words that fit best where a caption says [MASK].

        Args:
            image: A photo, or None to judge by the words alone.
            caption: A caption with one [MASK].
            top_k: How many words, the best first.

        Raises:
            UserError: if the caption has no [MASK] or several.
        """
        text = re.sub(re.escape(MASK), MASK, _text(caption, "caption"), flags=re.IGNORECASE)
        ids, mask = self.tokenizer([text])
        places = (ids[0] == self.tokenizer.vocab()[MASK]).nonzero()[:, 0]
        if len(places) != 1:
            raise UserError(
                f"Write {MASK} once in the caption, where the word is to be guessed.",
                f"알아맞힐 낱말 자리에 {MASK}를 한 번 쓰세요.",
            )
        regions = self.blank() if image is None else self.regions(image)
        out = self.model(ids, mask, regions.features, regions.boxes, region_mask=regions.mask)
        logits = self.model.word_logits(out.words[0, places[0]])
        pieces = sorted(self.tokenizer.vocab().items(), key=lambda item: item[1])
        whole = [
            (row, piece)
            for piece, row in pieces
            if piece not in SPECIAL and piece[0].isalnum()  # no word ends, no signs
        ]
        rows = [row for row, _ in whole]
        return _best([piece for _, piece in whole], logits[rows].softmax(0), top_k)

    @torch.inference_mode()
    def expected_region(
        self, image: Image.Image, region: int, caption: str = "", top_k: int = 5
    ) -> list[Answer]:
        """What the model expects in a region when it is hidden, with those that give it away.

        Args:
            image: A photo.
            region: Number of the region, row by row from 0.
            caption: What else is known of the photo; it may be empty.
            top_k: How many concepts, the likeliest first.

        Raises:
            UserError: if there is no such region.
        """
        regions = self.regions(image)
        count = int(regions.mask[0].sum())
        if not 0 <= region < count:
            raise UserError(
                f"There is no region {region}: this photo has regions 0 to {count - 1}."
            )
        hidden = giveaways(regions.boxes[0], self.config.regions)[region]
        ids, mask = self.tokenizer([caption])
        out = self.model(
            ids,
            mask,
            regions.features,
            regions.boxes,
            region_mask=regions.mask,
            seen=~hidden[None],
        )
        share = self.model.region_logits(out.regions[0, 1 + region]).softmax(0)
        return _best(self.config.concepts, share, top_k)

    # --- reasons -------------------------------------------------------------------------------

    def maps(self, image: Image.Image, question: str, answer: str | None = None) -> Explanation:
        """Attention maps of all layers and heads, and what an answer rests on.

        Args:
            image: A photo.
            question: The question.
            answer: The answer to explain; None: the model's own.

        Raises:
            UserError: as `answer`.
        """
        regions = self.regions(image)
        text = _text(question, "question")
        ids, mask = self.tokenizer([text])
        maps: list[AttentionMap] = []
        with torch.inference_mode():
            out = self.model(
                ids, mask, regions.features, regions.boxes, region_mask=regions.mask, maps=maps
            )
            logits = self.model.answer_logits(out)[0]
        number = int(logits.argmax()) if answer is None else self._number(answer)
        config = self.config
        return Explanation(
            Answer(self.answers[number], float(logits[number].sigmoid())),
            self.tokenizer.pieces(text),
            regions.boxes[0, :, :4],
            (config.rows, config.columns) if config.regions == "grid" else None,
            maps,
            relevance(self.model, ids, regions, number),
        )


def _text(text: str, what: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"The {what} is empty: write one.")
    return text


def _best(names: Sequence[str], shares: Tensor, top_k: int) -> list[Answer]:
    top = shares.topk(min(max(top_k, 1), len(shares)))
    return [
        Answer(names[row], share)
        for row, share in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]
