"""What the Classify tab's events compute: scores, sentences, maps and tables, as HTML."""

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from multimodal.errors import UserError
from multimodal.labels import read_label_set
from multimodal.ui import pictures
from multimodal.ui.context import Context

if TYPE_CHECKING:
    from torch import Tensor

SHOWN_BARS = 10
SHOWN_MAPS = 5
SHOWN_COLUMNS = 12
CLOSE = 1.5  # the second label's share times this reaches the first's: a close call
MANY_PHOTOS = 200


@dataclass(frozen=True)
class Result:
    """One photo's scores.

    Attributes:
        labels: Cleaned labels.
        cosine: (labels,).
        share: (labels,) softmax or sigmoid.
        better: How many of ImageNet's thousand names fit the photo better than the best label,
            or None where that was not asked for.
    """

    labels: list[str]
    cosine: "Tensor"
    share: "Tensor"
    better: int | None


class Classifier:
    """What the tab's events call; knows nothing of components."""

    def __init__(self, context: Context) -> None:
        self.context, self.text = context, context.texts

    def classify(
        self,
        image: Any,
        labels: Sequence[str],
        model: str,
        template: str,
        ensemble: bool,
        temperature: float,
        independent: bool,
        strictness: int,
        language: str,
    ) -> Result:
        """Scores one photo; embeddings come from the caches where they can.

        Raises:
            UserError: if the photo, the labels, the template or the model cannot be used.
        """
        from multimodal.clip import prompts, zero_shot
        from multimodal.images import open_image

        if image is None:
            raise UserError(self.text("classify_no_photo", language))
        names = prompts.clean_labels(labels or [])
        clip = self.context.clip(model)
        vectors = self.context.labels(clip, names, **_templates(template, ensemble))
        vector = self.context.image(clip, open_image(image))
        cosine = zero_shot.cosines(vector, vectors)[0]
        scale = clip.logit_scale / temperature
        share = zero_shot.probabilities(
            cosine, scale, independent=independent, bias=clip.logit_bias
        )
        better = None
        if strictness:
            known = self.context.labels(
                clip, [label.name("en") for label in read_label_set("imagenet")], ensemble=True
            )
            plain = self.context.labels(clip, names, ensemble=True)
            best = zero_shot.cosines(vector, plain)[0].max()
            better = int((zero_shot.cosines(vector, known)[0] > best + 1e-6).sum())
        return Result(names, cosine, share, better)

    def answer(self, language: str, *asked: Any, independent: bool, strictness: int) -> str:
        """The answer's HTML: one plain sentence, bars, and what the percentages mean."""
        from multimodal.clip.zero_shot import rank

        result = self.classify(
            *asked, independent=independent, strictness=strictness, language=language
        )
        best = rank(result.labels, result.share if independent else result.cosine, result.share)
        cosine = {label: float(c) for label, c in zip(result.labels, result.cosine, strict=True)}
        say = self._sentence(best, result.better, strictness, independent, language)
        head = (
            '<div class="bar barhead"><span class="name"></span><span></span>'
            f'<span class="share">%</span><span class="cosine">'
            f"{escape(self.text('classify_cosine', language))}</span></div>"
        )
        bars = "".join(
            pictures.bar(p.label, p.probability, cosine[p.label]) for p in best[:SHOWN_BARS]
        )
        more = ""
        if len(best) > SHOWN_BARS:
            rest = len(best) - SHOWN_BARS
            more = f'<p class="fine">{self.text("classify_more", language, n=rest)}</p>'
        key = "classify_meaning_independent" if independent else "classify_meaning"
        fine = f'<p class="fine">{escape(self.text(key, language))}</p>'
        model = asked[2]
        note = self.context.about(model)
        chip = escape(self.text("classify_model_chip", language, name=model, note=note))
        return (
            f'<div class="answer"><p class="say">{say}</p>{head}{bars}{more}{fine}'
            f'<span class="chip">{chip}</span></div>'
        )

    def _sentence(
        self, best: list, better: int | None, strictness: int, independent: bool, language: str
    ) -> str:
        first = f"<b>{escape(best[0].label)}</b>"
        if better is not None and better > 1000 - strictness:
            return self.text("classify_none", language, label=first, n=better)
        if len(best) == 1:
            return self.text("classify_alone", language, label=first)
        second = f"<b>{escape(best[1].label)}</b>"
        if independent:
            return self.text("classify_most", language, label=first)
        if best[1].probability * CLOSE > best[0].probability:
            return self.text("classify_close", language, label=first, second=second)
        margin = pictures.percent(best[0].probability - best[1].probability)
        return self.text("classify_clear", language, label=first, second=second, margin=margin)

    def where(
        self,
        image: Any,
        labels: Sequence[str],
        model: str,
        template: str,
        ensemble: bool,
        language: str,
    ) -> str:
        """Maps over the photo for its best labels."""
        from multimodal.clip import explain, prompts
        from multimodal.images import open_image

        clip, photo = self.context.clip(model), open_image(image)
        names = prompts.clean_labels(labels)
        vectors = self.context.labels(clip, names, **_templates(template, ensemble))
        order = (self.context.image(clip, photo) @ vectors.T)[0].argsort(descending=True)
        weights = explain.occlusion_maps(self.context.occluded(clip, photo), vectors)
        named = [(names[i], weights[i]) for i in order[:SHOWN_MAPS].tolist()]
        return pictures.maps(
            photo,
            named,
            self.text("strength", language),
            self.text("bare", language),
            self.text("classify_legend", language),
        )

    def compare_templates(
        self, image: Any, labels: Sequence[str], model: str, template: str, language: str
    ) -> str:
        """The same photo under a bare label, the template, and the ensemble."""
        from multimodal.clip import prompts, zero_shot
        from multimodal.images import open_image

        clip, photo = self.context.clip(model), open_image(image)
        names = prompts.clean_labels(labels)
        vector = self.context.image(clip, photo)
        columns = []
        for title, kind in (
            ("{}", {"templates": ["{}"]}),
            (
                template.strip() or self.text("classify_default_template", language),
                _templates(template, False),
            ),
            (self.text("classify_seven", language), {"ensemble": True}),
        ):
            cosine = zero_shot.cosines(vector, self.context.labels(clip, names, **kind))[0]
            share = zero_shot.probabilities(cosine, clip.logit_scale)
            rows = "".join(
                pictures.bar(p.label, p.probability)
                for p in zero_shot.rank(names, cosine, share)[:4]
            )
            columns.append(f"<div><h4>{escape(title)}</h4>{rows}</div>")
        return f'<div class="templates">{"".join(columns)}</div>'

    def many(
        self,
        files: Sequence[str],
        labels: Sequence[str],
        model: str,
        template: str,
        ensemble: bool,
        language: str,
        progress: gr.Progress | None = None,
    ) -> tuple[str, str]:
        """Many photos at once: the image-label matrix, and a CSV of all shares.

        Returns:
            HTML, and the path of the CSV.

        Raises:
            UserError: if there are no photos or none can be read.
        """
        import torch

        from multimodal.clip import prompts, zero_shot
        from multimodal.images import ImageError, open_image

        if not files:
            raise UserError(self.text("classify_no_photos", language))
        names, clip = prompts.clean_labels(labels), self.context.clip(model)
        vectors = self.context.labels(clip, names, **_templates(template, ensemble))
        kept, rows, bad = [], [], []
        for i, file in enumerate(files[:MANY_PHOTOS]):
            if progress is not None:
                progress((i, min(len(files), MANY_PHOTOS)))
            try:
                photo = open_image(file)
            except ImageError as error:
                bad.append(error.said(language))
                continue
            rows.append(self.context.image(clip, photo)[0])
            kept.append((Path(file).name, pictures.data_uri(photo, 96)))
        if not kept:
            raise UserError(bad[0])
        cosine = zero_shot.cosines(torch.stack(rows), vectors)
        share = zero_shot.probabilities(cosine, clip.logit_scale)
        folder = Path(tempfile.mkdtemp(prefix="classify-"))
        with (folder / "labels.csv").open("w", encoding="utf-8-sig", newline="") as out:
            table = csv.writer(out)
            table.writerow(["photo", "best", *names])
            for (name, _), line in zip(kept, share, strict=True):
                table.writerow(
                    [_plain(name), names[int(line.argmax())], *(f"{v:.4f}" for v in line)]
                )
        shown = cosine[:, :SHOWN_COLUMNS]
        best = [
            f"{name}: {names[int(line.argmax())]}, {pictures.percent(float(line.max()))}"
            for (name, _), line in zip(kept, share, strict=True)
        ]
        html = pictures.matrix([uri for _, uri in kept], names[:SHOWN_COLUMNS], shown, notes=best)
        if bad:
            items = "".join(f"<li>{escape(text)}</li>" for text in bad)
            html += (
                f"<p>{self.text('classify_unreadable', language, n=len(bad))}</p><ul>{items}</ul>"
            )
        return html, str(folder / "labels.csv")


def _templates(template: str, ensemble: bool) -> dict[str, Any]:
    if ensemble:
        return {"ensemble": True}
    return {"templates": [template.strip()]} if template.strip() else {}


def _plain(name: str) -> str:
    """A file name that no spreadsheet takes for a formula."""
    return "'" + name if name[:1] in "=+-@\t" else name
