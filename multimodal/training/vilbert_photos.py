"""`vilbert-photos`: goes on from the two towers of `clip-photos`, on captions and questions.

The image tower stands still: its regions are computed once and kept on disk in half precision.
Everything else learns. Two kinds of recipe share this module: pretraining draws captions only,
fine-tuning draws questions, and a few captions so that the other heads are not forgotten.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal.clip.dual import DualEncoderClip
from multimodal.clip.prompts import language_of
from multimodal.data.photos import DataError, Photo
from multimodal.data.sets import CAPTIONED, load_sets
from multimodal.labels import read_label_set
from multimodal.progress import Progress, drain
from multimodal.text.encoder import load_bert
from multimodal.text.tokenizer import MASK, TextTokenizer, pad
from multimodal.training.loop import fastest_precision
from multimodal.training.masking import add_captions
from multimodal.training.question_pools import QuestionPools
from multimodal.training.region_cache import RegionCache
from multimodal.training.told_pictures import asked_about, guess_features, text_vectors
from multimodal.training.vilbert_objective import VilbertObjective, as_answerer, save_vilbert
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.config import VilbertConfig
from multimodal.vilbert.model import Vilbert
from multimodal.vilbert.regions import DetectorRegions, Regions, giveaways, region_source

NEIGHBOURS = 20  # photos that look alike, whose captions nearly fit
# what fills most of a photo and is no thing that can be counted
STUFF = "sky grass water snow sand road floor wall trees buildings mountains clouds".split()


@dataclass(frozen=True)
class PhotoSettings:
    """What the photo recipe reads and how.

    Attributes:
        start: CLIP model whose towers and tokenizer it starts from.
        init: ViLBERT checkpoint to go on from, such as a pretrained one, or empty for `start`.
        detector: Weights of Faster R-CNN, where the model's regions are its boxes.
        captions: Captions per step.
        questions: Questions per step by source, see `question_pools`.
        answers: Size of the answer vocabulary.
        drop_words: Share of a question's words that are replaced by [MASK].
        drop_regions: Share of regions that are not seen.
        drop_features: Share of a photo's features that are zero in all its regions, the others
            scaled up, so that few photos are not known by heart.
        scales: Learning rate of the ``text`` stream, of what makes the ``answers`` of the two
            summaries, and of the rest (``new``); what is not named counts 1.
        weights: Weight of each loss; what is not named counts 1.
    """

    start: str = "clip-photos"
    init: str = ""
    detector: str = ""
    captions: int = 64
    questions: dict[str, int] = field(default_factory=dict)
    answers: int = 2000
    drop_words: float = 0.1
    drop_regions: float = 0.1
    drop_features: float = 0.0
    scales: dict[str, float] = field(default_factory=lambda: {"text": 0.3})
    weights: dict[str, float] = field(default_factory=dict)


class PhotoTask:
    """Batches, validation and export of `vilbert-photos` for the training loop."""

    def __init__(
        self,
        settings: PhotoSettings,
        config: VilbertConfig,
        data: Path,
        cache: Path,
        text_start: Path | None,
        seed: int = 0,
    ) -> None:
        self.settings, self.config, self.data, self.cache = settings, config, data, cache
        self.text_start, self.seed = text_start, seed
        self.detector = Path(settings.detector) if settings.detector else None
        self.concept_vectors: Tensor | None = None

    def prepare(self) -> Iterator[Progress]:
        """Reads the sets, builds the model, computes regions and what they show."""
        yield Progress(0, None, "reading captions and questions")
        sets = {name: photos for name, photos in load_sets(self.data).items() if name in CAPTIONED}
        self.photos = [photo for photos in sets.values() for photo in photos]
        counts = self.settings.questions
        told = asked_about(self.data) if counts.get("told") else {}
        self.pools = QuestionPools(self.data, self.photos, counts, self.seed, [*told])
        if known := self.pools.vocabulary(self.settings.answers):
            self.config = replace(self.config, answers=known)
        self._build_model()
        self.pools.encode(self.tokenizer, self.config.answers)
        yield from self._look(sets)
        yield Progress(0, None, "finding photos that look alike")
        self._index_captions()
        yield from self._guess([*told.values()])

    # --- model ---------------------------------------------------------------------------------

    def _build_model(self) -> None:
        torch.manual_seed(self.seed)
        self.clip = DualEncoderClip.load(self.settings.start)
        if self.settings.init:
            started = VisualQuestionAnswerer.load(self.settings.init, self.detector)
            self.tokenizer = started.tokenizer
            old, state = started.config, started.model.state_dict()
            self.config = replace(old, answers=self.config.answers, dropout=self.config.dropout)
            model = Vilbert(self.config)
            if old.answers != self.config.answers:  # the last layer of the head begins afresh
                fresh = model.state_dict()
                last = f"answer_head.{len(model.answer_head) - 1}."
                state = {k: fresh[k] if k.startswith(last) else v for k, v in state.items()}
            model.load_state_dict(state)
        else:
            model = self._from_start()
        if model.image_tower is not None:
            model.image_tower.requires_grad_(False)
        self.source = region_source(model, self.detector)
        self.model = VilbertObjective(model.train(), self.settings.weights)
        if model.image_tower is not None:
            model.image_tower.eval()

    def _from_start(self) -> Vilbert:
        """Words from a BERT or from CLIP's text tower, pixels from CLIP's image tower."""
        encoder = self.clip.encoder
        own = min(self.config.text.max_tokens, encoder.config.text.max_tokens)
        text, rows = english_part(self.clip.tokenizer)
        shape = replace(encoder.config.text, vocab_size=len(rows), max_tokens=own)
        if self.config.regions == "grid":
            concepts = (*(label.en for label in read_label_set("coco80")), *STUFF)
        else:
            concepts = DetectorRegions.load(self.detector, self.config.region_count).names
        self.config = replace(self.config, text=shape, concepts=concepts)
        self.tokenizer = TextTokenizer.from_json(text, own)
        model = Vilbert(self.config)
        if self.text_start is not None:
            start = Path(self.text_start)
            vocab = json.loads((start / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
            pieces = sorted(self.tokenizer.vocab().items(), key=lambda item: item[1])
            known = torch.tensor([vocab.get(piece, -1) for piece, _ in pieces])
            load_bert(model.language, load_file(start / "model.safetensors"), known)
        else:
            state = dict(encoder.text_tower.state_dict())
            state["words.weight"] = state["words.weight"][rows]
            state["positions.weight"] = state["positions.weight"][:own]
            model.language.load_state_dict(state)
        if model.image_tower is not None:
            model.image_tower.load_state_dict(encoder.image_tower.state_dict())
        return model

    def parameter_groups(self) -> list[dict]:
        model, scales = self.model.model, self.settings.scales
        answering = (model.text_summary, model.vision_summary, model.answer_head)
        groups = {
            "text": list(model.language.parameters()),
            "answers": [p for part in answering for p in part.parameters()],
        }
        known = {id(p) for params in groups.values() for p in params}
        groups["new"] = [p for p in model.parameters() if id(p) not in known and p.requires_grad]
        return [
            {"params": params, "scale": scales.get(name, 1.0)} for name, params in groups.items()
        ]

    # --- regions -------------------------------------------------------------------------------

    def _look(self, sets: dict[str, list[Photo]]) -> Iterator[Progress]:
        caches = []
        for name, photos in sets.items():
            cache = RegionCache(self.cache, f"{name}-train", photos, self._key())
            yield from cache.build(self.source, self._name_regions)
            caches.append(cache)
        self.caches = caches
        self.ends = np.cumsum([len(cache.photos) for cache in caches])
        self.boxes, self.region_mask, self.concepts = (
            torch.cat([getattr(cache, name) for cache in caches])
            for name in ("boxes", "mask", "concepts")
        )
        self.grid = giveaways(self.boxes[0], "grid") if self.config.regions == "grid" else None

    def _key(self) -> str:
        """Tells apart what computes the regions: tower, size of photos, names."""
        digest = hashlib.sha256(repr((self.config.concepts, self.clip.fingerprint)).encode())
        digest.update(f"{self.config.image_size} {self.settings.detector}".encode())
        for tensor in getattr(self.model.model.image_tower, "state_dict", dict)().values():
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    @torch.inference_mode()
    def _name_regions(self, regions: Regions) -> Tensor:
        """What each region shows, as the detector says or else CLIP, zero-shot:
        (photos, regions, concepts)."""
        if regions.concepts is not None:
            return regions.concepts
        if self.concept_vectors is None:
            texts = [f"a photo of a {name}" for name in self.config.concepts]
            self.concept_vectors = self.clip.encode_texts(texts)
        encoder = self.clip.encoder
        cells = regions.features.flatten(0, 1)[..., None, None]  # each a picture of one cell
        vectors = encoder.project_image(encoder.image_tower.pool(cells))
        share = (self.clip.logit_scale * vectors @ self.concept_vectors.T).softmax(-1)
        return share.unflatten(0, regions.mask.shape)

    def _features(self, rows: np.ndarray) -> Tensor:
        """Features of photos of all sets, (photos, regions, region_features) float16."""
        places = np.searchsorted(self.ends, rows, side="right")
        starts = [0, *self.ends]
        found = np.zeros((len(rows), *self.caches[0].features.shape[1:]), np.float16)
        for n, (place, row) in enumerate(zip(places, rows, strict=True)):
            if place < len(self.caches):
                found[n] = self.caches[place].features[row - starts[place]]
            else:
                found[n, 0] = self.guessed[row - starts[place]]
        return torch.from_numpy(found)

    def _guess(self, told: list[list[str]]) -> Iterator[Progress]:
        """Adds pictures of which there are captions only, each of one region."""
        if not told:
            return
        photos = [self.photos[row].captions for row in self.captioned]
        bf16 = fastest_precision(torch.device("cpu")) == "bf16"

        @torch.inference_mode()
        def encode(texts: list[str]) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                return self.clip.encode_texts(texts)

        vectors = yield from text_vectors(encode, [*photos, *told])
        own, others = vectors[: len(photos)], vectors[len(photos) :]
        self.guessed = guess_features(own, self.means, others).half().numpy()
        boxes = self.boxes.new_zeros(len(told), *self.boxes.shape[1:])
        boxes[:, 0] = torch.tensor([0, 0, 1, 1, 1])  # the whole picture
        self.boxes = torch.cat([self.boxes, boxes])
        self.region_mask = torch.cat([self.region_mask, boxes[..., -1] > 0])
        # nothing that a region shows is known, and no caption asks for it
        unknown = self.concepts.new_zeros(len(told), *self.concepts.shape[1:])
        self.concepts = torch.cat([self.concepts, unknown])

    # --- captions ------------------------------------------------------------------------------

    def _index_captions(self) -> None:
        """Word pieces of the captions, and for each photo those that look most like it."""
        self.captioned = [row for row, photo in enumerate(self.photos) if photo.captions]
        self.caption_ids = {
            row: self.tokenizer.ids(self.photos[row].captions) for row in self.captioned
        }
        means = np.concatenate(
            [
                cache.features[first : first + 256].mean(1, dtype=np.float32)
                for cache in self.caches
                for first in range(0, len(cache.photos), 256)
            ]
        )[self.captioned]
        self.means = torch.from_numpy(means)
        vectors = F.normalize(self.means - self.means.mean(0), dim=-1)
        count = min(NEIGHBOURS + 1, len(vectors))
        near = [(part @ vectors.T).topk(count).indices for part in vectors.split(1024)]
        self.alike = torch.cat(near)[:, 1:]  # the nearest is the photo itself

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step, rank])
        ids, targets, asked_of = self.pools.draw(rng)
        captions, kinds, told_of = self._draw_captions(rng)
        rows, place = np.unique([*asked_of, *told_of], return_inverse=True)
        if len(rows) and rows[0] < 0:  # questions without a photo: the blank one is number -1
            rows, place = rows[1:], place - 1
        # a batch of such questions alone still needs a picture to be blanked
        rows = rows if len(rows) else np.array([0])
        mask = self.region_mask[rows]
        dropped = torch.from_numpy(rng.random(mask.shape)) < self.settings.drop_regions
        dropped &= mask.sum(1, keepdim=True) > 1  # else nothing were left of a guessed picture
        features, dropping = self._features(rows), self.settings.drop_features
        kept = torch.from_numpy(rng.random((len(rows), 1, features.shape[-1])) >= dropping)
        batch: dict[str, Tensor] = {
            "features": features * kept / (1 - dropping),
            "boxes": self.boxes[rows],
            "region_mask": mask & ~dropped,
        }
        if ids:
            words, there = pad(ids)
            hidden = torch.from_numpy(rng.random(words.shape)) < self.settings.drop_words
            hidden[:, 0] = False  # [CLS] sums the question up
            mask_id = self.tokenizer.vocab()[MASK]
            batch["question_ids"] = torch.where(hidden & there, mask_id, words)
            batch["question_mask"] = there
            batch["question_picture"] = torch.from_numpy(place[: len(ids)])
            batch["question_targets"] = targets
        if captions:
            near = (
                self.grid[None]
                if self.grid is not None
                else torch.stack([giveaways(boxes, "faster-rcnn") for boxes in batch["boxes"]])
            )
            picture = torch.from_numpy(place[len(ids) :])
            add_captions(
                batch, self.tokenizer, captions, kinds, picture, mask, batch["boxes"], near, rng
            )
            batch["concepts"] = self.concepts[rows]
        return batch

    def _draw_captions(
        self, rng: np.random.Generator
    ) -> tuple[list[list[int]], list[str], list[int]]:
        """Captions in turn: one to guess what is hidden, one that fits, the next that does not."""
        ids, kinds, rows = [], [], []
        for n in range(self.settings.captions):
            place = int(rng.integers(len(self.captioned)))
            rows.append(self.captioned[place])
            kinds.append(("hidden", "fits", "hidden", "not")[n % 4])
            whose = place
            if kinds[n] == "not":  # of a photo that looks alike, or of any other
                near = self.alike[place]
                whose = int(near[rng.integers(len(near))]) if len(near) else place
                if rng.random() < 0.5:
                    whose = (place + int(rng.integers(1, len(self.captioned)))) % len(
                        self.captioned
                    )
            said = self.caption_ids[self.captioned[whose]]
            ids.append(said[rng.integers(len(said))])
        return ids, kinds, rows

    # --- results -------------------------------------------------------------------------------

    def validate(self, model: nn.Module) -> dict[str, float]:
        from multimodal.evaluation.vqa import photo_figures

        try:
            sets = load_sets(self.data, "val")
        except DataError:  # one's own pairs may have no photos to spare
            sets = {}
        caches = {}
        for name in ("coco", "flickr8k"):
            if name in sets:
                caches[name] = RegionCache(self.cache, f"{name}-val", sets[name], self._key())
                drain(caches[name].build(self.source, self._name_regions))
        return photo_figures(as_answerer(model, self.tokenizer), self.data, caches)

    def export(self, model: nn.Module, folder: Path) -> None:
        save_vilbert(model, self.tokenizer, folder)


def english_part(tokenizer: TextTokenizer) -> tuple[str, Tensor]:
    """A tokenizer without its Korean pieces, for photos are asked about in English.

    Returns:
        Text of the new `tokenizer.json`, and for each of its rows the row in the old table.
    """
    body = json.loads(tokenizer.to_json())
    ordered = sorted(body["model"]["vocab"].items(), key=lambda item: item[1])
    kept = [(piece, row) for piece, row in ordered if language_of(piece) != "ko"]
    body["model"]["vocab"] = {piece: number for number, (piece, _) in enumerate(kept)}
    return json.dumps(body), torch.tensor([row for _, row in kept])
