"""The Classify tab: the user's photo against labels they type."""

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from multimodal.errors import UserError
from multimodal.labels import label_sets, read_label_set
from multimodal.ui import downloads, examples, pictures
from multimodal.ui.context import HEAVY, Context

if TYPE_CHECKING:
    from torch import Tensor

FIRST_LABELS = {
    "en": ["cat", "dog", "bird", "fish", "horse", "car", "bus", "airplane", "boat", "house"],
    "ko": ["고양이", "개", "새", "물고기", "말", "자동차", "버스", "비행기", "배", "집"],
}
SHOWN_BARS = 10
SHOWN_MAPS = 5
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
            self.text("classify_strength", language),
            self.text("classify_bare", language),
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
                bad.append(str(error))
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
        shown = cosine[:, :12]
        html = pictures.matrix([uri for _, uri in kept], names[:12], shown)
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


def build(context: Context, language: gr.Radio) -> None:
    """Lays the tab out and wires its events.

    Args:
        context: Shared models, texts and caches.
        language: The switch between ``en`` and ``ko``.
    """
    text, run = context.texts, Classifier(context)
    show, lang = text.show, text.language
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = show(
                gr.Image(
                    type="filepath",
                    sources=["upload", "webcam", "clipboard"],
                    height=330,
                    elem_id="classify-photo",
                ),
                label="classify_photo",
            )
            labels = show(
                gr.Dropdown(
                    choices=[],
                    value=FIRST_LABELS[lang],
                    multiselect=True,
                    filterable=True,
                    allow_custom_value=True,
                    elem_id="classify-labels",
                    max_choices=5000,
                ),
                label="classify_labels",
                info="classify_labels_info",
            )
            sets = show(
                gr.Dropdown(choices=_set_choices(lang), value=None, elem_id="classify-sets"),
                label="classify_sets",
            )
            with gr.Row():
                template = show(
                    gr.Textbox(max_lines=1, scale=3, max_length=300, min_width=220),
                    label="classify_template",
                    placeholder="classify_template_hint",
                )
                ensemble = show(
                    gr.Checkbox(value=True, scale=2, min_width=190),
                    label="classify_ensemble",
                    info="classify_ensemble_info",
                )
            with show(gr.Accordion(open=False), label="more"):
                model = show(
                    gr.Dropdown(
                        choices=context.clip_choices(),
                        value=context.settings.model,
                        elem_id="classify-model",
                    ),
                    label="model",
                )
                temperature = show(
                    gr.Slider(0.1, 10, value=1, step=0.1),
                    label="classify_temperature",
                    info="classify_temperature_info",
                )
                reset = show(gr.Button(size="sm"), value="classify_temperature_reset")
                strictness = show(
                    gr.Slider(0, 1000, value=0, step=50),
                    label="classify_strictness",
                    info="classify_strictness_info",
                )
                independent = show(
                    gr.Checkbox(), label="classify_independent", info="classify_independent_info"
                )
            downloads.build(context, model, language)
        with gr.Column(scale=7, min_width=320):
            answer = gr.HTML(
                pictures.empty(text("classify_empty")),
                elem_id="classify-answer",
                padding=False,
            )
            pictured = [[str(file)] for file in examples.photos(context.settings.data)]
            pictured = show(
                gr.Dataset(components=[image], samples=pictured, elem_id="classify-examples"),
                label="examples",
            )
    with gr.Tabs():
        with show(gr.Tab(), label="classify_where"):
            why = gr.HTML(elem_id="classify-where")
        with show(gr.Tab(), label="classify_templates"):
            compared = gr.HTML(elem_id="classify-compared")
        with show(gr.Tab(), label="classify_many"):
            files = show(
                gr.File(file_count="multiple", file_types=["image"], height=150),
                label="classify_files",
            )
            go = show(gr.Button(variant="primary"), value="classify_many_go")
            table = gr.HTML(elem_id="classify-table")
            download = show(gr.DownloadButton(visible=False), label="classify_csv")

    def answered(image, labels, model, template, ensemble, temperature, independent, strict, lang):
        if image is None:
            return pictures.empty(text("classify_empty", lang))
        try:
            return run.answer(
                lang,
                image,
                labels,
                model,
                template,
                ensemble,
                temperature,
                independent=independent,
                strictness=strict,
            )
        except UserError as error:
            return pictures.problem(str(error))

    def explained(image, labels, model, template, ensemble, lang):
        if image is None or not labels:
            return "", ""
        try:
            return (
                run.where(image, labels, model, template, ensemble, lang),
                run.compare_templates(image, labels, model, template, lang),
            )
        except UserError:  # the answer's place already says what is wrong
            return "", ""

    def many(files, labels, model, template, ensemble, lang, progress=gr.Progress()):
        try:
            html, file = run.many(files, labels, model, template, ensemble, lang, progress)
            return html, gr.update(value=file, visible=True)
        except UserError as error:
            return pictures.problem(str(error)), gr.update(visible=False)

    pictured.click(
        lambda sample: sample[0],
        pictured,
        image,
        show_progress="hidden",
        api_visibility="private",
    )
    asked = [image, labels, model, template, ensemble]
    inputs = [*asked, temperature, independent, strictness, language]
    quick = {"concurrency_id": HEAVY, "concurrency_limit": 2, "api_visibility": "private"}
    # photo and labels change what the maps show; the sliders only redraw the bars
    for trigger in (image.change, labels.change, model.change, template.submit, ensemble.change):
        trigger(
            answered, inputs, answer, show_progress="minimal", trigger_mode="always_last", **quick
        ).then(
            explained,
            [*asked, language],
            [why, compared],
            show_progress="minimal",
            trigger_mode="always_last",
            **quick,
        )
    for trigger in (temperature.input, independent.change, strictness.change, language.change):
        trigger(
            answered, inputs, answer, show_progress="hidden", trigger_mode="always_last", **quick
        )
    language.change(explained, [*asked, language], [why, compared], show_progress="hidden", **quick)
    sets.input(
        lambda key, lang: [label.name(lang) for label in read_label_set(key)] if key else [],
        [sets, language],
        labels,
        show_progress="hidden",
        api_visibility="private",
    )
    language.change(
        _translated, [labels, language], labels, show_progress="hidden", api_visibility="private"
    )
    language.change(
        lambda lang, key: gr.update(choices=_set_choices(lang), value=key),
        [language, sets],
        sets,
        show_progress="hidden",
        api_visibility="private",
    )
    reset.click(
        lambda: 1, None, temperature, show_progress="hidden", api_visibility="private"
    ).then(answered, inputs, answer, show_progress="hidden", **quick)
    go.click(many, [files, *asked[1:], language], [table, download], **quick)
    _api(context, run)


def _translated(labels: list[str], language: str) -> Any:
    """The first labels in another language, unless the user has changed them."""
    return FIRST_LABELS[language] if labels in FIRST_LABELS.values() else gr.skip()


def _set_choices(language: str) -> list[tuple[str, str]]:
    return [(about[language], key) for key, about in label_sets().items()]


def _api(context: Context, run: Classifier) -> None:
    """The endpoint /classify, for `gradio_client` and as an MCP tool."""

    def classify(
        image: str, labels: list[str] | str, model: str = context.settings.model, template: str = ""
    ) -> dict:
        """Says which of several labels fits a photo best.

        Args:
            image: The photo.
            labels: Labels to choose from, in English or Korean; a list, or words with commas.
            model: A CLIP model by name.
            template: A sentence with {} where the label belongs; empty takes seven of them.
        """
        from multimodal.clip.zero_shot import rank

        if isinstance(labels, str):
            labels = labels.split(",")
        try:
            result = run.classify(image, labels, model, template, not template, 1.0, False, 0, "en")
        except UserError as error:
            raise gr.Error(str(error)) from error
        ranked = rank(result.labels, result.cosine, result.share)
        return {
            "model": model,
            "predictions": [
                {"label": p.label, "probability": p.probability, "cosine": p.cosine} for p in ranked
            ],
        }

    photo = gr.Image(type="filepath", visible=False)
    given = gr.JSON(visible=False)
    name = gr.Textbox(context.settings.model, visible=False)
    sentence = gr.Textbox("", visible=False)
    out = gr.JSON(visible=False)
    gr.Button(visible=False).click(
        classify,
        [photo, given, name, sentence],
        out,
        api_name="classify",
        concurrency_id=HEAVY,
        concurrency_limit=2,
    )
