"""The Ask tab: a question about a photo, the answer, and what it rests on."""

from collections.abc import Callable

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import attention, examples, pictures
from multimodal.ui.asker import SHOWN, Asked, Asker
from multimodal.ui.context import HEAVILY, HEAVY, LIGHTLY, Context
from multimodal.ui.controls import SOURCES, world_menu

# what each example is asked, by its file and the language of the page
QUESTIONS = {
    "lion.jpg": {"en": "What animal is this?"},
    "cheetah1.jpg": {"en": "What color is the animal?"},
    "tower.jpg": {"en": "Is it day or night?"},
    "scene-1-384.png": {"en": "what colour is the boat?", "ko": "배는 무슨 색인가요?"},
    "scene-37-384.png": {"en": "how many houses are there?", "ko": "집이 몇 채 있나요?"},
    "scene-59-384.png": {"en": "is there a white cat?", "ko": "하얀 고양이가 있나요?"},
    "scene-27-384.png": {"en": "what is left of the fish?", "ko": "물고기 왼쪽에 무엇이 있나요?"},
}
MODELS = {"photos": "vilbert-photos", "scenes": "vilbert-toybox"}  # by the kind of an example
SUGGESTIONS = {
    "vilbert-photos": (
        "What is this?",
        "What color is it?",
        "How many people are there?",
        "Is it day or night?",
        "Where is this?",
    ),
    "vilbert-toybox": (
        "what place is this?",
        "how many things are there?",
        "is there a cat?",
        "여기는 어디인가요?",
        "그림에 모두 몇 개가 있나요?",
        "고양이가 있나요?",
    ),
}


def build(context: Context, language: gr.Radio) -> None:
    """Lays the tab out and wires its events.

    Args:
        context: Shared models, texts and caches.
        language: The switch between ``en`` and ``ko``.
    """
    text, run = context.texts, Asker(context)
    show = text.show
    first = context.first("vilbert", "photos")
    nothing = "ask_empty" if first else "ask_no_model"
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = show(
                gr.Image(type="filepath", sources=SOURCES, height=270, elem_id="ask-photo"),
                label="ask_photo",
            )
            question = show(
                gr.Textbox(
                    lines=1,
                    max_lines=3,
                    info=run.reads(first, text.language),
                    elem_id="ask-question",
                ),
                label="ask_question",
                placeholder="ask_question_hint",
            )
            go = show(gr.Button(variant="primary", elem_id="ask-go"), value="ask_go")
            suggested = {
                name: show(
                    gr.Dataset(
                        components=[question],
                        samples=[[words] for words in questions],
                        visible=name == first,
                        elem_id=f"ask-suggestions-{name.removeprefix('vilbert-')}",
                    ),
                    label="ask_suggestions",
                )
                for name, questions in SUGGESTIONS.items()
            }
            world = world_menu(context, "vilbert", language, "ask-world", "photos")
            with show(gr.Accordion(open=False, elem_id="ask-more"), label="more"):
                only = show(
                    gr.Textbox(max_lines=2, elem_id="ask-only"),
                    label="ask_only",
                    info="ask_only_info",
                    placeholder="ask_only_hint",
                )
        with gr.Column(scale=7, min_width=320):
            answer = gr.HTML(
                pictures.empty(text(nothing)),
                elem_id="ask-answer",
                padding=False,
                js_on_load="element.setAttribute('aria-live', 'polite')",
            )
            tried = _examples(context)
            pictured = show(
                gr.Dataset(
                    components=[image],
                    samples=[[file] for file, _, _ in tried],
                    type="index",
                    visible=bool(tried),
                    elem_id="ask-examples",
                ),
                label="ask_examples",
            )
    with gr.Tabs():
        with show(gr.Tab(), label="ask_looked"):
            why = gr.HTML(
                pictures.empty(text("ask_looked_empty")),
                elem_id="ask-looked",
                js_on_load=attention.SCRIPT,
            )
        with show(gr.Tab(), label="ask_fit"):
            _captions(context, language, image, world, "fit", run.fits, lines=4)
        with show(gr.Tab(), label="ask_fill"):
            _captions(context, language, image, world, "fill", run.fill, lines=1)
        with show(gr.Tab(), label="ask_hide") as tab:
            _hide(context, run, language, image, world, tab)

    def answered(lang, *asked):
        try:
            return run.answer(Asked(*asked), lang)
        except UserError as error:
            return pictures.problem(error.said(lang))

    def answered_if_complete(lang, *asked):
        if Asked(*asked).complete:
            return answered(lang, *asked)
        return pictures.empty(text(nothing, lang))

    def explained(lang, *asked):
        try:
            if Asked(*asked).complete:
                return run.explain(Asked(*asked), lang)
        except UserError:  # the answer's place says what is wrong
            pass
        return pictures.empty(text("ask_looked_empty", lang))

    def example(number, lang):
        file, questions, name = tried[number]
        return file, questions.get(lang, questions["en"]), name

    asked = [language, image, question, world, only]

    def answers(trigger, answer_with=answered):
        """Lets an event answer and then explain."""
        latest = {"trigger_mode": "always_last", **HEAVILY}
        trigger(answer_with, asked, answer, show_progress="minimal", **latest).then(
            explained, asked, why, show_progress="hidden", **latest
        )

    for trigger in (go.click, question.submit, only.submit):
        answers(trigger)
    for questions in suggested.values():
        picked = questions.click(lambda sample: sample[0], questions, question, **LIGHTLY)
        answers(picked.then, answered_if_complete)  # the photo may come later
    answers(pictured.click(example, [pictured, language], [image, question, world], **LIGHTLY).then)
    for trigger in (image.input, world.input, language.change):
        answers(trigger, answered_if_complete)
    for trigger in (world.change, language.change):
        trigger(
            lambda name, lang: gr.update(info=run.reads(name, lang)),
            [world, language],
            question,
            **LIGHTLY,
        )
    world.change(
        lambda world: [gr.update(visible=name == world) for name in suggested],
        world,
        [*suggested.values()],
        **LIGHTLY,
    )
    question.focus(run.warm_up, world, None, queue=False, **LIGHTLY)
    _api(context, run)


def _examples(context: Context) -> list[tuple[str, dict[str, str], str]]:
    """Files, questions by language, and models, of the worlds that are here."""
    here = [name for _, name in context.worlds("vilbert", "en")]
    return [
        (str(file), QUESTIONS[file.name], MODELS[kind])
        for file, kind in examples.pictures(context.settings.data)
        if MODELS[kind] in here
    ]


def _captions(
    context: Context,
    language: gr.Radio,
    image: gr.Image,
    world: gr.Radio,
    name: str,
    judge: Callable[..., str],
    lines: int,
) -> None:
    """A caption to type and what the model makes of it.

    Args:
        context: Shared texts.
        language: The switch between ``en`` and ``ko``.
        image: The photo.
        world: The menu of models.
        name: ``fit`` or ``fill``, as in the texts.
        judge: From photo, caption, model and language to HTML.
        lines: Lines of the box; in one of several lines, Enter starts a new one.
    """
    text, show = context.texts, context.texts.show
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            caption = show(
                gr.Textbox(lines=lines, max_lines=max(lines, 3), elem_id=f"ask-{name}-caption"),
                label=f"ask_{name}_caption",
                info=f"ask_{name}_info",
                placeholder=f"ask_{name}_hint",
            )
            go = show(gr.Button(elem_id=f"ask-{name}-go"), value=f"ask_{name}_go")
        with gr.Column(scale=7, min_width=320):
            out = gr.HTML(
                pictures.empty(text(f"ask_{name}_empty")),
                elem_id=f"ask-{name}",
                padding=False,
                js_on_load="element.setAttribute('aria-live', 'polite')",
            )

    def judged(image, caption, model, lang):
        try:
            return judge(image, caption, model, lang)
        except UserError as error:
            return pictures.problem(error.said(lang))

    def judged_if_complete(image, caption, model, lang):
        if image and (caption or "").strip():
            return judged(image, caption, model, lang)
        return pictures.empty(text(f"ask_{name}_empty", lang))

    given = [image, caption, world, language]
    for trigger in (go.click, caption.submit):
        trigger(judged, given, out, trigger_mode="always_last", **HEAVILY)
    for trigger in (image.change, world.input, language.change):
        trigger(judged_if_complete, given, out, trigger_mode="always_last", **HEAVILY)


def _hide(
    context: Context,
    run: Asker,
    language: gr.Radio,
    image: gr.Image,
    world: gr.Radio,
    tab: gr.Tab,
) -> None:
    """The photo as cells to hide, and what the model expects in a hidden one."""
    text, show = context.texts, context.texts.show
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            cells = gr.HTML(
                pictures.empty(text("ask_hide_empty")),
                elem_id="ask-cells",
                padding=False,
                js_on_load=attention.HIDE_SCRIPT,
            )
            caption = show(
                gr.Textbox(max_lines=1, elem_id="ask-hide-caption"),
                label="ask_hide_caption",
                info="ask_hide_info",
                placeholder="ask_hide_hint",
            )
        with gr.Column(scale=7, min_width=320):
            out = gr.HTML(
                elem_id="ask-hide",
                padding=False,
                js_on_load="element.setAttribute('aria-live', 'polite')",
            )

    def shown(image, model, lang):
        if image is None:
            return pictures.empty(text("ask_hide_empty", lang)), ""
        try:
            return run.hideable(image, model, lang), pictures.empty(text("ask_hide_click", lang))
        except UserError as error:
            return pictures.problem(error.said(lang)), ""

    def expected(event: gr.EventData, image, caption, model, lang):
        try:
            return run.expected(image, event.region, caption, model, lang)
        except UserError as error:
            return pictures.problem(error.said(lang))

    latest = {"trigger_mode": "always_last", "show_progress": "hidden", **HEAVILY}
    for trigger in (tab.select, image.change, world.change, language.change):
        trigger(shown, [image, world, language], [cells, out], **latest)
    cells.hide(expected, [image, caption, world, language], out, **latest)


def _api(context: Context, run: Asker) -> None:
    """The endpoint /answer, for `gradio_client` and as an MCP tool."""
    first = context.first("vilbert", "photos") or ""

    def answer(image: str, question: str, model: str = first, top_k: int = SHOWN) -> list[dict]:
        """Answers a question about a photo.

        Args:
            image: The photo.
            question: The question, in a language that the model reads.
            model: A ViLBERT by name.
            top_k: How many answers, the best first.
        """
        try:
            seen, _ = run.answers(Asked(image, question, model), "en", int(top_k))
        except UserError as error:
            raise gr.Error(str(error)) from error
        return [{"answer": one.text, "probability": one.probability} for one in seen]

    gr.Button(visible=False).click(
        answer,
        [
            gr.Image(type="filepath", visible=False),
            gr.Textbox("", visible=False),
            gr.Textbox(first, visible=False),
            gr.Number(SHOWN, precision=0, visible=False),
        ],
        gr.JSON(visible=False),
        api_name="answer",
        concurrency_id=HEAVY,
        concurrency_limit=2,
    )
