"""The Classify tab: the user's photo against labels they type."""

from typing import Any

import gradio as gr

from multimodal.errors import UserError
from multimodal.labels import label_sets, read_label_set
from multimodal.ui import downloads, examples, pictures
from multimodal.ui.classifier import Classifier
from multimodal.ui.context import HEAVY, SCENE_MODEL, Context

# labels that suit the examples: photos, and drawn scenes
FIRST_LABELS = {
    "photos": {
        "en": ["cat", "dog", "lion", "bird", "horse", "car", "boat", "airplane", "tower", "house"],
        "ko": ["고양이", "개", "사자", "새", "말", "자동차", "배", "비행기", "탑", "집"],
    },
    "scenes": {
        "en": ["cat", "bird", "fish", "boat", "car", "house", "tree", "flower", "umbrella", "sun"],
        "ko": ["고양이", "새", "물고기", "배", "자동차", "집", "나무", "꽃", "우산", "해"],
    },
}


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
                    value=FIRST_LABELS["photos"][lang],
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
            shown = examples.pictures(context.settings.data)
            pictured = show(
                gr.Dataset(
                    components=[image],
                    samples=[[str(file)] for file, _ in shown],
                    type="index",
                    elem_id="classify-examples",
                ),
                label="examples",
            )
    with gr.Tabs():
        with show(gr.Tab(), label="classify_where"):
            why = gr.HTML(pictures.empty(text("classify_where_empty")), elem_id="classify-where")
        with show(gr.Tab(), label="classify_templates"):
            compared = gr.HTML(
                pictures.empty(text("classify_templates_empty")), elem_id="classify-compared"
            )
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
            return pictures.problem(error.said(lang))

    def explained(image, labels, model, template, ensemble, lang):
        if image is None or not labels:
            nothing = ("classify_where_empty", "classify_templates_empty")
            return [pictures.empty(text(key, lang)) for key in nothing]
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
            return pictures.problem(error.said(lang)), gr.update(visible=False)

    def example(number, lang):
        file, kind = shown[number]
        name = SCENE_MODEL if kind == "scenes" else context.settings.model
        return str(file), FIRST_LABELS[kind][lang], name

    pictured.click(
        example,
        [pictured, language],
        [image, labels, model],
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
    """An example's labels in another language, unless the user has changed them."""
    for known in FIRST_LABELS.values():
        if labels in known.values():
            return known[language]
    return gr.skip()


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
