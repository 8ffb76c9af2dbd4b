"""The Search tab: words find photos, photos find photos and words, in the user's own pictures."""

from html import escape

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import pictures, reranking
from multimodal.ui.context import HEAVILY, HEAVY, INDEXING, LIGHTLY, Context
from multimodal.ui.controls import SOURCES
from multimodal.ui.galleries import MINE, SCENES
from multimodal.ui.searcher import Searcher, terms

EXAMPLES = ("a red boat", "two fish", "파란 우산", "an orange cat", "밤하늘과 집")


def build(context: Context, language: gr.Radio) -> None:
    """Lays the tab out and wires its events.

    Args:
        context: Shared models, texts and caches.
        language: The switch between ``en`` and ``ko``.
    """
    text, run = context.texts, Searcher(context)
    show, lang = text.show, text.language
    chosen = gr.State(None)  # id of the hit that was clicked
    found = gr.State([])  # ids of all hits
    source = gr.State(SCENES)  # their gallery; the menu may show another by now
    answer = gr.State(None)  # the latest result and what was searched for
    asked = gr.State(None)  # the same, where it was words alone
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            where = show(
                gr.Dropdown(
                    choices=run.galleries.choices(lang), value=SCENES, elem_id="search-gallery"
                ),
                label="search_gallery",
            )
            progress = gr.HTML(elem_id="search-progress", padding=False)
            query = show(
                gr.Textbox(max_lines=2, max_length=2000, elem_id="search-text"),
                label="search_text",
                placeholder="search_text_hint",
            )
            tried = show(
                gr.Dataset(components=[query], samples=[[words] for words in EXAMPLES]),
                label="examples_short",
            )
            image = show(
                gr.Image(
                    type="filepath",
                    sources=SOURCES,
                    height=210,
                    elem_id="search-photo",
                ),
                label="search_image",
            )
            with gr.Row():
                plus = show(
                    gr.Textbox(max_lines=1, max_length=500, min_width=140), label="search_plus"
                )
                minus = show(
                    gr.Textbox(max_lines=1, max_length=500, min_width=140), label="search_minus"
                )
            show(gr.Markdown(elem_classes="fine"), value="search_arithmetic_info")
            go = show(gr.Button(variant="primary", elem_id="search-go"), value="search_go")
            with show(gr.Accordion(open=False), label="more"):
                top_k = show(gr.Slider(1, 48, value=12, step=1), label="search_top")
                duplicates = show(gr.Checkbox(), label="search_duplicates")
            with show(gr.Accordion(open=False, elem_id="search-mine"), label="search_mine"):
                files = show(
                    gr.File(
                        file_count="multiple",
                        file_types=["image", ".zip"],
                        height=140,
                        elem_id="search-files",
                    ),
                    label="search_files",
                )
                name = show(
                    gr.Textbox(max_lines=1, max_length=60),
                    label="search_name",
                    placeholder="search_name_hint",
                )
                with gr.Row():
                    index = show(
                        gr.Button(variant="primary", elem_id="search-index"), value="search_index"
                    )
                    stop = show(
                        gr.Button(variant="stop", elem_id="search-stop"), value="search_stop"
                    )
        with gr.Column(scale=7, min_width=320):
            said = gr.HTML(
                pictures.empty(text("search_empty")), elem_id="search-said", padding=False
            )
            hits = show(
                gr.Gallery(
                    columns=4,
                    height=540,
                    object_fit="cover",
                    allow_preview=False,
                    show_label=False,
                    elem_id="search-hits",
                    visible=False,
                ),
                label="search_hits",
            )
            about = gr.HTML(elem_id="search-about")
            again = show(
                gr.Button(visible=False, size="sm", elem_id="search-again"),
                value="search_from_hit",
            )
    with gr.Tabs():
        with show(gr.Tab(), label="search_scores"):
            scores = gr.HTML(pictures.empty(text("search_why_empty")), elem_id="search-scores")
        with show(gr.Tab(), label="search_time"):
            times = gr.HTML(elem_id="search-times")
        with show(gr.Tab(), label="search_matrix"):
            lines = show(gr.Textbox(lines=3, max_length=4000), label="search_matrix_lines")
            compare = show(gr.Button(elem_id="search-compare"), value="search_matrix_go")
            matrix = gr.HTML(elem_id="search-matrix")
        with show(gr.Tab(), label="search_report"):
            measure = show(gr.Button(elem_id="search-measure"), value="search_report_go")
            report = gr.HTML(elem_id="search-report")
        emptied = reranking.build(context, run.galleries, asked, language)

    def searched(key, query, image, plus, minus, top_k, duplicates, lang, example=None):
        why = pictures.empty(text("search_why_empty", lang))
        hidden = gr.update(visible=False)
        nothing = [hidden, "", hidden, [], key, None, why, "", None, None, *[""] * len(emptied)]
        if not (query or image or plus or minus) and example is None:
            return [pictures.empty(text("search_empty", lang)), *nothing]
        try:
            result = run.search(key, query, image, plus, minus, top_k, duplicates, example)
            gallery = run.galleries.open(key)
            shown = [(gallery.thumbnail(h.id), f"{h.rank} · {h.score:.3f}") for h in result.hits]
            if not shown:
                raise UserError(text("search_no_photos", lang))
            words = query.strip() or text("search_this_photo", lang)
            words += "".join(f" + {w}" for w in terms(plus))
            words += "".join(f" - {w}" for w in terms(minus))
            by_words_alone = query.strip() and not (image or terms(plus) or terms(minus))
            sentence, histogram, milliseconds = spoken((result, words), lang)
            return [
                sentence,
                gr.update(value=shown, visible=True),
                described(key, None, lang),
                gr.update(visible=False),
                [hit.id for hit in result.hits],
                key,
                None,
                histogram,
                milliseconds,
                (result, words),
                reranking.Asked(key, words, duplicates) if by_words_alone else None,
                *[""] * len(emptied),
            ]
        except UserError as error:
            return [pictures.problem(error.said(lang)), *nothing]

    def spoken(answer, lang):
        if answer is None:
            invitations = ("search_empty", "search_why_empty")
            return *(pictures.empty(text(key, lang)) for key in invitations), ""
        result, words = answer
        sentence = f'<p class="say">{run.said(result, words, lang)}</p>'
        return sentence, run.histogram(result, lang), run.times(result, lang)

    def described(key, hit, lang):
        if hit is None:
            return f'<p class="fine">{escape(text("search_click_hit", lang))}</p>'
        name = escape(text("search_chosen", lang, name=run.galleries.open(key).item(hit).name))
        try:
            near = f"<h4>{escape(text('search_captions', lang))}</h4>{run.captions(key, hit)}"
        except UserError:  # most galleries have no captions, and need none to be searched
            near = ""
        return f"<p>{name}</p>{near}"

    def picked(found, key, lang, event: gr.SelectData):
        hit = found[event.index]
        return hit, described(key, hit, lang), gr.update(visible=True)

    def retold(answer, key, chosen, lang):
        return *spoken(answer, lang), described(key, chosen, lang) if answer else ""

    def indexed(files, name, lang):
        try:
            for html, own in run.index(files, name, lang):
                menu = gr.update(choices=run.galleries.choices(lang), value=MINE + own)
                yield html, menu, own
        except UserError as error:
            yield pictures.problem(error.said(lang)), gr.skip(), gr.skip()

    def filled(key, lang):
        try:
            yield ""
            yield from run.fill(key, lang)
        except UserError as error:
            yield pictures.problem(error.said(lang))

    def stopped(key, name):
        run.galleries.stop(key)
        run.galleries.stop(MINE + name)

    def guarded(work):
        def call(*given):
            *_, lang = given
            try:
                return work(*given)
            except UserError as error:
                return pictures.problem(error.said(lang))

        return call

    # indexing takes minutes: it has a queue of its own, so that nobody's search waits behind it
    slow = {"concurrency_id": INDEXING, "concurrency_limit": 1, "api_visibility": "private"}
    inputs = [where, query, image, plus, minus, top_k, duplicates, language]
    outputs = [said, hits, about, again, found, source, chosen, scores, times, answer, asked]
    outputs += emptied
    for trigger in (go.click, query.submit, plus.submit, minus.submit, image.upload):
        trigger(searched, inputs, outputs, **HEAVILY)
    tried.click(lambda sample: sample[0], tried, query, **LIGHTLY).then(
        searched, inputs, outputs, **HEAVILY
    )
    hits.select(picked, [found, source, language], [chosen, about, again], **HEAVILY)

    def from_hit(key, chosen, top_k, duplicates, lang):
        return searched(key, "", None, "", "", top_k, duplicates, lang, chosen)

    again.click(from_hit, [source, chosen, top_k, duplicates, language], outputs, **HEAVILY)
    index.click(
        indexed, [files, name, language], [progress, where, name], show_progress="hidden", **slow
    )
    where.input(filled, [where, language], progress, show_progress="hidden", **slow)
    stop.click(stopped, [where, name], None, queue=False, api_visibility="private")
    compare.click(guarded(run.matrix), [source, found, lines, language], matrix, **HEAVILY)
    measure.click(guarded(run.report), [where, language], report, **HEAVILY)
    language.change(
        lambda lang, key: gr.update(choices=run.galleries.choices(lang), value=key),
        [language, where],
        where,
        **LIGHTLY,
    )
    language.change(
        retold, [answer, source, chosen, language], [said, scores, times, about], **LIGHTLY
    )
    _api(run)


def _api(run: Searcher) -> None:
    """The endpoint /search, for `gradio_client` and as an MCP tool."""

    def search(
        text: str = "", image: str | None = None, gallery: str = SCENES, top_k: int = 12
    ) -> dict:
        """Finds photos of a gallery by words, by a photo, or by both.

        Args:
            text: What to look for, in English or Korean.
            image: A photo to look like.
            gallery: Name of a gallery in the menu.
            top_k: How many hits.
        """
        try:
            result = run.search(gallery, text, image, "", "", top_k, False)
        except UserError as error:
            raise gr.Error(str(error)) from error
        return {
            "hits": [
                {"rank": h.rank, "score": h.score, "name": h.name, "captions": list(h.captions)}
                for h in result.hits
            ],
            "milliseconds": result.timings,
        }

    words, photo = gr.Textbox("", visible=False), gr.Image(type="filepath", visible=False)
    where, count = gr.Textbox(SCENES, visible=False), gr.Number(12, visible=False)
    gr.Button(visible=False).click(
        search,
        [words, photo, where, count],
        gr.JSON(visible=False),
        api_name="search",
        concurrency_id=HEAVY,
        concurrency_limit=2,
    )
