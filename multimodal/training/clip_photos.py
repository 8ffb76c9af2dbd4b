"""`clip-photos`: both towers go on from public starts, on captions, class names and a teacher.

Two kinds of recipe share this module. With `frozen` the towers stand still, their features are
computed once, and only the two projections learn: five minutes on a CPU. Without it everything
learns, from the frozen recipe's result (`init`).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from multimodal.clip.dual import DualEncoderClip
from multimodal.clip.image_tower import load_torchvision
from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.clip.prompts import DEFAULT_TEMPLATE, ENSEMBLE, fill, language_of
from multimodal.data import tiny_imagenet
from multimodal.data.photos import Photo
from multimodal.data.sets import CAPTIONED, load_sets
from multimodal.labels import read_label_set
from multimodal.progress import Progress
from multimodal.text.encoder import load_bert, mean_pool
from multimodal.text.tokenizer import TextTokenizer, extend_wordpiece, pad
from multimodal.training.concepts import photo_concepts
from multimodal.training.objective import ClipObjective, as_clip, save_clip
from multimodal.training.pixels import PixelCache
from multimodal.training.teacher import Teacher, read_image_start, teach
from multimodal.training.teacher import class_names as teacher_names

# stored side of each set's photos, and the side at which the teacher looks at them
SIDES = {
    "flickr8k": (160, 160),
    "coco": (160, 160),
    "scenes": (96, 128),
    "tiny_imagenet": (64, 128),
    "folder": (160, 160),
}
KOREAN_PIECES = 4000
SAMPLED = 4000  # photos of a pool that tell how often it shows what
BICUBIC = InterpolationMode.BICUBIC  # as at use, where small photos are enlarged too


@dataclass(frozen=True)
class PhotoSettings:
    """What the photo recipe reads and how.

    Attributes:
        frozen: Train the projections alone, on features computed once.
        init: A checkpoint folder to go on from, or empty for the starts.
        starts: Without `init`, begin from the public starts; else from random weights.
        train_side: Side in pixels that photos are trained at; testing at a somewhat larger side
            evens out that random crops show things larger (Touvron et al. 2019).
        batch: Photos per step: ``captioned``, ``objects`` (COCO without captions),
            ``tiny_imagenet``, ``scenes``.
        concepts: Names embedded afresh per step.
        memory: Earlier pairs kept as negatives.
        scales: Learning rate of ``image``, ``text``, ``words`` (the Korean rows of the embedding
            table) and ``heads`` (the projections, 1 by default); what has 0 stands still.
        weights: Weight of each loss; what is not named counts 1.
        degrade: Share of photos that are shrunk to 24 to 64 pixels and enlarged again.
        teacher: Use the teacher's probabilities.
    """

    frozen: bool = False
    init: str = ""
    starts: bool = True
    train_side: int = 128
    batch: dict[str, int] = field(
        default_factory=lambda: {"captioned": 96, "objects": 16, "tiny_imagenet": 48, "scenes": 24}
    )
    concepts: int = 64
    memory: int = 1024
    scales: dict[str, float] = field(
        default_factory=lambda: {"image": 0.25, "text": 0.25, "words": 5.0}
    )
    weights: dict[str, float] = field(default_factory=dict)
    degrade: float = 0.3
    teacher: bool = True


class PhotoTask:
    """Batches, validation and export of `clip-photos` for the training loop."""

    def __init__(
        self,
        settings: PhotoSettings,
        config: ClipConfig,
        data: Path,
        cache: Path,
        image_start: Path | None,
        text_start: Path,
        seed: int = 0,
        written: Path | None = None,
    ) -> None:
        self.settings, self.data, self.cache, self.seed = settings, Path(data), Path(cache), seed
        self.written = written
        self.image_start = read_image_start(image_start)
        self.text_start = Path(text_start)
        self.config = config
        self.concepts, self.evidence = photo_concepts()

    def prepare(self) -> Iterator[Progress]:
        """Decodes photos, asks the teacher, fits the tokenizer, builds the model."""
        self.photos: dict[str, list[Photo]] = {}
        self.pixels: dict[str, np.ndarray] = {}
        self.taught: dict[str, dict[str, Tensor]] = {}
        teacher = Teacher(self.image_start)
        for name, photos in load_sets(self.data).items():
            side, seen_at = SIDES[name]
            pixels = PixelCache(self.cache, f"{name}-train", photos, side)
            yield from pixels.build()
            file = self.cache / f"teacher-{name}-train-{seen_at}.safetensors"
            yield from teach(teacher, pixels, file, seen_at, flips=False)
            self.photos[name], self.pixels[name] = photos, pixels.pixels
            self.taught[name] = load_file(file)
        yield Progress(0, None, "building the model")
        self._index_photos()
        self._build_model()
        self._tokenize()
        if self.settings.frozen:
            yield from self._freeze()
        else:
            yield from self._fill_bank()

    # --- model ---------------------------------------------------------------------------------

    def _build_model(self) -> None:
        if self.settings.init:
            started = DualEncoderClip.load(self.settings.init)
            encoder, self.tokenizer = started.encoder, started.tokenizer
            encoder.requires_grad_(True)
            self.config = replace(encoder.config, image_size=self.config.image_size)
            encoder.config = self.config
        elif self.written is not None:  # the weights come from the saved state
            longest = self.config.text.max_tokens
            self.tokenizer = TextTokenizer.from_json(self.written.read_text("utf-8"), longest)
            self.config = _with_words(self.config, self.tokenizer.vocab_size)
            encoder = DualEncoder(self.config)
        else:
            captions = [c for photos in self.photos.values() for p in photos for c in p.captions]
            korean = [
                fill(template, ko)
                for _, ko in self.concepts.names
                for template in (*ENSEMBLE["ko"], "{}")
            ]
            names = list(itertools.chain(*self._names()["en"]))
            start = (self.text_start / "tokenizer.json").read_text("utf-8")
            extra = itertools.chain(captions, names, ENSEMBLE["en"], _spare_texts(self.data))
            tokenizer, rows = extend_wordpiece(start, extra, korean, KOREAN_PIECES)
            self.config = _with_words(self.config, len(rows))
            self.tokenizer = TextTokenizer(tokenizer, self.config.text.max_tokens)
            encoder = DualEncoder(self.config)
            if self.settings.starts:
                load_bert(
                    encoder.text_tower, load_file(self.text_start / "model.safetensors"), rows
                )
                load_torchvision(encoder.image_tower, self.image_start)
        encoder.image_tower.to(memory_format=torch.channels_last)
        used = {k: v for k, v in self.concepts.vocabularies.items() if k != "others"}
        self.model = ClipObjective(
            encoder.train(),
            used,
            len(self.concepts.names),
            memory=self.settings.memory,
            weights=self.settings.weights,
            followers=True,
            shares=self._shares(),
        )

    def _shares(self) -> dict[str, Tensor]:
        """How often a step shows each name of the vocabularies that are not even."""
        seen, weights = {}, self.settings.batch
        pools = {name: items for name, items in self.pools.items() if weights.get(name) and items}
        for pool, items in pools.items():
            sample = [items[i] for i in _order(pool, len(items), 0, self.seed)[:SAMPLED]]
            targets = self._targets(sample)
            for vocabulary in ("imagenet", "everyday", "coco80"):
                if f"target_{vocabulary}" in targets:
                    told = targets[f"target_{vocabulary}"]
                    share = weights[pool] / len(sample) * told.sum(0)
                    seen[vocabulary] = seen.get(vocabulary, 0) + share
        return seen

    def parameter_groups(self) -> list[dict]:
        encoder = self.model.encoder
        words = encoder.text_tower.words
        parts = {
            "heads": [
                *encoder.image_projection.parameters(),
                *encoder.text_projection.parameters(),
                encoder.log_scale,
            ],
            "image": list(encoder.image_tower.parameters()),
            "text": [p for p in encoder.text_tower.parameters() if p is not words.weight],
            "words": [words.weight],
        }
        scales = {"heads": 1.0} | ({} if self.settings.frozen else self.settings.scales)
        for name, parameters in parts.items():
            for parameter in parameters:
                parameter.requires_grad_(scales.get(name, 0) > 0)
        if words.weight.requires_grad and (self.settings.starts or self.settings.init):
            self._keep_known_words(words)
        return [
            {"params": parameters, "scale": scales[name], "decay": name != "words"}
            for name, parameters in parts.items()
            if scales.get(name, 0) > 0
        ]

    def _keep_known_words(self, words: nn.Embedding) -> None:
        """Lets only Korean rows of the table learn.

        They begin at random and need large steps. At that pace the English rows, which come
        from the start, would be washed out before the tower could follow.
        """
        fresh = torch.zeros(words.num_embeddings, 1)
        for piece, row in self.tokenizer.vocab().items():
            fresh[row] = float(language_of(piece) == "ko")
        words.weight.register_hook(lambda gradient: gradient * fresh.to(gradient.device))

    # --- data ----------------------------------------------------------------------------------

    def _index_photos(self) -> None:
        """Pools of (set, number) that batches draw from."""
        captioned = [
            (name, i)
            for name in CAPTIONED
            for i, photo in enumerate(self.photos.get(name, ()))
            if photo.captions
        ]
        shown = self.photos.get("coco", [])
        objects = [("coco", i) for i, photo in enumerate(shown) if not photo.captions]
        self.pools = {"captioned": captioned, "objects": objects} | {
            name: [(name, i) for i in range(len(self.photos.get(name, ())))]
            for name in ("tiny_imagenet", "scenes")
        }
        self.number = {key: n for n, key in enumerate(captioned)}
        coco80 = {label.en: i for i, label in enumerate(read_label_set("coco80"))}
        self.objects = [[coco80[o] for o in photo.objects if o in coco80] for photo in shown]
        wnids = {label.wnid: i for i, label in enumerate(read_label_set("tiny_imagenet"))}
        kinds = {label.en: i for i, label in enumerate(read_label_set("scenes"))}
        self.labels = {
            name: [numbers[photo.label] for photo in self.photos.get(name, ())]
            for name, numbers in (("tiny_imagenet", wnids), ("scenes", kinds))
        }

    def _tokenize(self) -> None:
        self.caption_ids = {
            name: [self.tokenizer.ids(photo.captions) for photo in self.photos[name]]
            for name in CAPTIONED
            if name in self.photos
        }
        names = self._names()
        self.concept_ids = [
            [
                [self.tokenizer.ids([fill(t, name) for name in known]) for known in names[code]]
                for t in _templates(code)
            ]
            for code in self.config.languages
        ]  # [language][template][concept][name]

    def _names(self) -> dict[str, list[list[str]]]:
        """All names of every concept by language: ours first, then those of the data sets."""
        names = {"en": [[en] for en, _ in self.concepts.names]}
        names["ko"] = [[ko] for _, ko in self.concepts.names]
        others = [[name] for name in teacher_names()]
        tiny = [()] * len(self.concepts.vocabularies["tiny_imagenet"])
        if "tiny_imagenet" in self.photos:
            known = tiny_imagenet.class_names(self.data)
            tiny = [known.get(label.wnid, ()) for label in read_label_set("tiny_imagenet")]
        for vocabulary, more in (("imagenet", others), ("tiny_imagenet", tiny)):
            for concept, also in zip(self.concepts.vocabularies[vocabulary], more, strict=True):
                own = names["en"][concept]
                own += [name for name in also if name.lower() not in map(str.lower, own)]
        return names

    def _draw(self, pool: str, step: int, count: int, rank: int, world: int) -> list[tuple]:
        """The step's share of a pool that is walked in a fresh order every pass."""
        items, drawn = self.pools[pool], []
        for k in range(step * count * world + rank * count, (step * world + rank + 1) * count):
            turn, place = divmod(k, len(items))
            drawn.append(items[_order(pool, len(items), turn, self.seed)[place]])
        return drawn

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step, rank])
        drawn = [
            item
            for pool, count in self.settings.batch.items()
            if count and self.pools[pool]
            for item in self._draw(pool, step, count, rank, world)
        ]
        pairs = drawn[: self.settings.batch.get("captioned", 0)]
        batch = self._targets(drawn)
        batch["photo"] = torch.tensor([self.number[key] for key in pairs])
        chosen = [int(rng.integers(len(self.photos[s][i].captions))) for s, i in pairs]
        if self.settings.frozen:
            batch["image_features"] = torch.stack([self.taught[s]["features"][i] for s, i in drawn])
            batch["caption_features"] = torch.stack(
                [self.caption_features[s][i][c] for (s, i), c in zip(pairs, chosen, strict=True)]
            )
            template = rng.integers(len(self.concept_features))
            batch["concept_features"] = self.concept_features[template]
            batch["concept_row"] = torch.arange(len(self.concepts.names))
            batch["concept_language"] = torch.zeros(len(self.concepts.names), dtype=torch.long)
            return batch
        batch["pixels"] = torch.stack([self._view(s, i, rng) for s, i in drawn])
        batch["caption_ids"], batch["caption_mask"] = pad(
            [self.caption_ids[s][i][c] for (s, i), c in zip(pairs, chosen, strict=True)]
        )
        half = self.settings.concepts // 2
        rows = rng.choice(len(self.concepts.names), half, replace=False)
        ids = []
        for language in range(len(self.config.languages)):  # the same names in every language
            templates = self.concept_ids[language]
            for row in rows:
                known = templates[rng.integers(len(templates))][row]
                # half the time the usual name, which is what most people type
                ids.append(known[0] if rng.random() < 0.5 else known[rng.integers(len(known))])
        batch["concept_ids"], batch["concept_mask"] = pad(ids)
        languages = len(self.config.languages)
        batch["concept_row"] = torch.from_numpy(np.tile(rows, languages))
        batch["concept_language"] = torch.arange(languages).repeat_interleave(half)
        return batch

    def _targets(self, drawn: list[tuple]) -> dict[str, Tensor]:
        """What the drawn photos show, as shares over each vocabulary."""
        batch: dict[str, Tensor] = {}
        tiny = [r for r, (s, _) in enumerate(drawn) if s == "tiny_imagenet"]
        scene = [r for r, (s, _) in enumerate(drawn) if s == "scenes"]
        for name, rows in (("tiny_imagenet", tiny), ("scenes", scene)):
            if rows:
                size = len(self.concepts.vocabularies[name])
                classes = torch.tensor([self.labels[name][drawn[r][1]] for r in rows])
                batch[f"rows_{name}"] = torch.tensor(rows)
                batch[f"target_{name}"] = nn.functional.one_hot(classes, size).float()
        listed = [r for r, (s, i) in enumerate(drawn) if s == "coco" and self.objects[i]]
        if listed:
            target = torch.zeros(len(listed), len(self.concepts.vocabularies["coco80"]))
            for row, r in enumerate(listed):
                shown = self.objects[drawn[r][1]]
                target[row, shown] = 1 / len(shown)
            batch["rows_coco80"], batch["target_coco80"] = torch.tensor(listed), target
        everyday_rows, everyday = list(tiny), []
        if tiny:
            everyday.append(batch["target_tiny_imagenet"] @ self.evidence["tiny_imagenet"])
        # Tiny-ImageNet has true labels; its 64 pixels are too few for the teacher
        rows = [r for r, (s, _) in enumerate(drawn) if s != "tiny_imagenet"]
        if self.settings.teacher and rows:
            logits = torch.stack([self.taught[drawn[r][0]]["logits"][drawn[r][1]] for r in rows])
            share = logits.float().softmax(-1)
            batch["rows_imagenet"], batch["target_imagenet"] = torch.tensor(rows), share
            everyday_rows += rows
            everyday.append(share @ self.evidence["imagenet"])
        if everyday:
            batch["rows_everyday"] = torch.tensor(everyday_rows)
            batch["target_everyday"] = torch.cat(everyday)
        return batch

    def _view(self, name: str, i: int, rng: np.random.Generator) -> Tensor:
        """One augmented photo, (3, side, side) uint8."""
        pixels = torch.from_numpy(self.pixels[name][i].copy()).permute(2, 0, 1)
        side, full = self.settings.train_side, pixels.shape[-1]
        area, ratio = rng.uniform(0.45, 1.0), np.exp(rng.uniform(-0.25, 0.25))
        h = min(full, round(full * (area / ratio) ** 0.5))
        w = min(full, round(full * (area * ratio) ** 0.5))
        top, left = rng.integers(full - h + 1), rng.integers(full - w + 1)
        if rng.random() < self.settings.degrade:
            small = int(rng.integers(24, 65))
            pixels = TF.resized_crop(pixels, top, left, h, w, [small, small], antialias=True)
            pixels = TF.resize(pixels, [side, side], BICUBIC, antialias=True)
        else:
            pixels = TF.resized_crop(pixels, top, left, h, w, [side, side], BICUBIC, antialias=True)
        if rng.random() < 0.5:
            pixels = TF.horizontal_flip(pixels)
        if rng.random() < 0.5:
            pixels = TF.adjust_brightness(pixels, float(rng.uniform(0.75, 1.25)))
            pixels = TF.adjust_contrast(pixels, float(rng.uniform(0.75, 1.25)))
        return pixels

    # --- what is computed once -----------------------------------------------------------------

    def _freeze(self) -> Iterator[Progress]:
        """Text features of the standing text tower; the teacher's features serve for photos."""
        self.caption_features = {}
        for name in self.caption_ids:
            flat = [ids for captions in self.caption_ids[name] for ids in captions]
            rows: list[Tensor] = []
            for features in self._text_features(flat):
                rows.append(features)
                yield Progress(sum(map(len, rows)), len(flat), f"reading captions of {name}")
            joined = torch.cat(rows)
            ends = np.cumsum([len(captions) for captions in self.caption_ids[name]])
            starts = [0, *ends[:-1]]
            self.caption_features[name] = [joined[a:b] for a, b in zip(starts, ends, strict=True)]
        self.concept_features = [
            torch.cat(list(self._text_features([known[0] for known in names])))
            for names in self.concept_ids[0]
        ]

    @torch.inference_mode()
    def _text_features(self, ids: list[list[int]], size: int = 256) -> Iterator[Tensor]:
        tower = self.model.encoder.text_tower
        for first in range(0, len(ids), size):
            tokens, mask = pad(ids[first : first + size])
            yield mean_pool(tower(tokens, mask), mask).float().clone()

    def _fill_bank(self) -> Iterator[Progress]:
        """Every name's first embedding."""
        for language in range(len(self.config.languages)):
            with torch.no_grad():
                rows = [
                    self.model.encoder.project_text(features.clone())
                    for features in self._text_features(
                        [known[0] for known in self.concept_ids[language][0]]
                    )
                ]
                self.model.bank[language] = torch.cat(rows)
            yield Progress(language + 1, len(self.config.languages), "embedding names")

    # --- results -------------------------------------------------------------------------------

    def validate(self, model: nn.Module) -> dict[str, float]:
        from multimodal.evaluation.validation import photo_figures

        return photo_figures(as_clip(model, self.tokenizer), self.data)

    def export(self, model: nn.Module, folder: Path) -> None:
        save_clip(model, self.tokenizer, folder)


_ORDERS: dict[tuple, np.ndarray] = {}


def _with_words(config: ClipConfig, words: int) -> ClipConfig:
    return replace(config, text=replace(config.text, vocab_size=words))


def _order(pool: str, size: int, turn: int, seed: int) -> np.ndarray:
    """A pass's order of a pool; only the latest few are kept."""
    key = (pool, size, turn, seed)
    if key not in _ORDERS:
        while len(_ORDERS) > 16:
            _ORDERS.pop(next(iter(_ORDERS)))
        _ORDERS[key] = np.random.default_rng([seed, turn, len(pool), size]).permutation(size)
    return _ORDERS[key]


def _templates(language: str) -> tuple[str, ...]:
    return (DEFAULT_TEMPLATE[language], *ENSEMBLE[language], "{}")


def _spare_texts(data: Path) -> Iterator[str]:
    """Captions and questions whose photos are not at hand: their words keep their pieces."""
    import csv
    import gzip

    for file in sorted((data / "text").glob("*.csv.gz")):
        with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                yield from (row[key] for key in ("caption", "question", "answer") if key in row)
