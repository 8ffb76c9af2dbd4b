"""The Search tab: words find photos, photos find photos and words, in the user's own pictures."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import pictures
from multimodal.ui.context import HEAVY, INDEXING, Context
from multimodal.ui.galleries import MINE, SCENES, Galleries

if TYPE_CHECKING:
    from multimodal.retrieval import IndexProgress, SearchResult

EXAMPLES = ("a red boat", "two fish", "파란 우산", "an orange cat", "밤하늘과 집")
MATRIX_SIDE = 5
HISTOGRAM_BINS = 40
STANDS_OUT = 2.0  # standard deviations above the mean that a clear hit reaches
LISTED_BAD = 50


class Searcher:
    """What the tab's events call; knows nothing of components."""

    def __init__(self, context: Context) -> None:
        self.text, self.galleries = context.texts, Galleries(context)

    def index(self, files: Sequence[str], name: str, language: str) -> Iterator[tuple[str, str]]:
        """Embeds uploads into a gallery of the user's own.

        Yields:
            HTML of the progress, and the gallery's name.

        Raises:
            UserError: if there is nothing to index or it cannot be stored.
        """
        if not files:
            raise UserError(self.text("search_no_files", language))
        name = self.galleries.free_name(name, language)
        for html in self._progress(self.galleries.upload(files, name), MINE + name, language):
            yield html, name

    def fill(self, key: str, language: str) -> Iterator[str]:
        """Brings the server's folder up to date: HTML of the progress."""
        return self._progress(self.galleries.fill(key), key, language)

    def _progress(
        self, reports: "Iterator[IndexProgress]", key: str, language: str
    ) -> Iterator[str]:
        report = None
        for report in reports:
            say = self.text(
                "search_progress", language, done=report.done, total=report.total or "?"
            )
            if report.rate:
                say += self.text("search_rate", language, rate=f"{report.rate:.0f}")
                if report.total:
                    left = (report.total - report.done) / report.rate
                    say += self.text("search_left", language, seconds=f"{left:.0f}")
            share = report.done / report.total if report.total else 0
            yield f"<p>{say}</p>{pictures.bar(key.removeprefix(MINE), share)}"
        if report is not None:
            stopped = report.total is not None and report.done < report.total
            done = self.text(
                "search_stopped" if stopped else "search_done",
                language,
                count=len(self.galleries.open(key)),
            )
            yield f"<p>{done}</p>{self._bad(report.bad, language)}"

    def _bad(self, bad: Sequence[tuple[str, str]], language: str) -> str:
        if not bad:
            return ""
        items = "".join(f"<li>{escape(why)}</li>" for _, why in bad[:LISTED_BAD])
        return f"<p>{self.text('search_bad', language, n=len(bad))}</p><ul>{items}</ul>"

    def search(
        self,
        key: str,
        text: str,
        image: Any,
        plus: str,
        minus: str,
        top_k: int,
        duplicates: bool,
        example: int | None = None,
    ) -> "SearchResult":
        """Searches a gallery; comma-separated words are added and taken away.

        Raises:
            UserError: if the query is empty or the photo cannot be read.
        """
        gallery = self.galleries.open(key)
        added = _words(plus)
        if not (text or "").strip() and image is None and example is None and added:
            text, added = added[0], added[1:]  # a sum may begin with any of its terms
        return gallery.search(
            text=text,
            image=image or None,
            plus=added,
            minus=_words(minus),
            top_k=int(top_k),
            hide_duplicates=duplicates,
            example=example,
        )

    def said(self, result: "SearchResult", query: str, language: str) -> str:
        """One plain sentence on a result."""
        scores = result.scores
        best = result.hits[0].score
        clear = best > float(scores.mean()) + STANDS_OUT * float(scores.std())
        key = "search_said" if clear or len(scores) < 10 else "search_said_low"
        return self.text(
            key, language, n=result.count, query=f"<b>{escape(query)}</b>", best=f"{best:.3f}"
        )

    def histogram(self, result: "SearchResult", language: str) -> str:
        """All scores as bars, those of the hits dark."""
        import numpy as np

        counts, edges = np.histogram(np.asarray(result.scores), bins=HISTOGRAM_BINS)
        least = min(hit.score for hit in result.hits)
        say = self.text("search_scores_say", language)
        return pictures.histogram(counts, edges, least, say)

    def times(self, result: "SearchResult", language: str) -> str:
        """Milliseconds by stage."""
        unit, total = self.text("search_ms", language), result.timings["total"]
        rows = "".join(
            pictures.row(
                self.text(f"search_stage_{stage}", language),
                spent / max(total, 1e-9),
                "var(--color-accent)",
                f"{spent:.1f}",
                unit,
            )
            for stage, spent in result.timings.items()
        )
        return rows

    def captions(self, key: str, item: int) -> str:
        """The captions nearest to a photo of the gallery."""
        near = self.galleries.open(key).captions_for(item, top_k=5)
        rows = "".join(
            f"<li>{escape(hit.caption)} <span class='cosine'>{hit.score:.3f}</span></li>"
            for hit in near
        )
        return f"<ol>{rows}</ol>"

    def matrix(self, key: str, found: Sequence[int], lines: str, language: str) -> str:
        """CLIP's training picture for the first hits and as many sentences."""
        import torch

        if not found:
            raise UserError(self.text("search_no_hits", language))
        gallery, chosen = self.galleries.open(key), list(found[:MATRIX_SIDE])
        own = [line.strip() for line in lines.splitlines() if line.strip()][:8]
        values = torch.from_numpy(gallery.similarity(chosen, own or None))
        sentences = own or [gallery.item(i).captions[0] for i in chosen]
        uris = [pictures.data_uri(gallery.thumbnail(i), 110) for i in chosen]
        say = escape(self.text("search_matrix_say", language))
        return f"<p>{say}</p>{pictures.matrix(uris, sentences, values, diagonal=not own)}"

    def report(self, key: str, language: str) -> str:
        """Recall of a captioned gallery, both ways."""
        figures = self.galleries.open(key).report()
        say = self.text(
            "search_report_say", language, images=figures["images"], captions=figures["captions"]
        )
        rows = "".join(
            f'<tr><th scope="row">{escape(self.text(f"search_{way}", language))}</th>'
            + "".join(f"<td>{figures[f'{way}_r{k}']:.1f} %</td>" for k in (1, 5, 10))
            + "</tr>"
            for way in ("t2i", "i2t")
        )
        return (
            f"<p>{escape(say)}</p><table class='grid'><tr><td></td><th scope='col'>R@1</th>"
            f"<th scope='col'>R@5</th><th scope='col'>R@10</th></tr>{rows}</table>"
        )


def _words(text: str) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


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
                    sources=["upload", "webcam", "clipboard"],
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

    def searched(key, query, image, plus, minus, top_k, duplicates, lang, example=None):
        why = pictures.empty(text("search_why_empty", lang))
        nothing = [gr.update(visible=False), "", gr.update(visible=False), [], None, why, ""]
        if not (query or image or plus or minus) and example is None:
            return [pictures.empty(text("search_empty", lang)), *nothing]
        try:
            result = run.search(key, query, image, plus, minus, top_k, duplicates, example)
            gallery = run.galleries.open(key)
            shown = [(gallery.thumbnail(h.id), f"{h.rank} · {h.score:.3f}") for h in result.hits]
            if not shown:
                raise UserError(text("search_no_photos", lang))
            asked = query.strip() or text("search_this_photo", lang)
            asked += "".join(f" + {w}" for w in _words(plus))
            asked += "".join(f" - {w}" for w in _words(minus))
            return [
                f'<p class="say">{run.said(result, asked, lang)}</p>',
                gr.update(value=shown, visible=True),
                f'<p class="fine">{escape(text("search_click_hit", lang))}</p>',
                gr.update(visible=False),
                [hit.id for hit in result.hits],
                None,
                run.histogram(result, lang),
                run.times(result, lang),
            ]
        except UserError as error:
            return [pictures.problem(str(error)), *nothing]

    def picked(found, key, lang, event: gr.SelectData):
        hit = found[event.index]
        name = escape(text("search_chosen", lang, name=run.galleries.open(key).item(hit).name))
        try:
            near = f"<h4>{escape(text('search_captions', lang))}</h4>{run.captions(key, hit)}"
        except UserError:  # most galleries have no captions, and need none to be searched
            near = ""
        return hit, f"<p>{name}</p>{near}", gr.update(visible=True)

    def indexed(files, name, lang):
        try:
            for html, own in run.index(files, name, lang):
                menu = gr.update(choices=run.galleries.choices(lang), value=MINE + own)
                yield html, menu, own
        except UserError as error:
            yield pictures.problem(str(error)), gr.skip(), gr.skip()

    def filled(key, lang):
        try:
            yield ""
            yield from run.fill(key, lang)
        except UserError as error:
            yield pictures.problem(str(error))

    def stopped(key, name):
        run.galleries.stop(key)
        run.galleries.stop(MINE + name)

    def guarded(work):
        def call(*given):
            try:
                return work(*given)
            except UserError as error:
                return pictures.problem(str(error))

        return call

    heavy = {"concurrency_id": HEAVY, "concurrency_limit": 2, "api_visibility": "private"}
    # indexing takes minutes: it has a queue of its own, so that nobody's search waits behind it
    slow = {"concurrency_id": INDEXING, "concurrency_limit": 1, "api_visibility": "private"}
    light = {"show_progress": "hidden", "api_visibility": "private"}
    inputs = [where, query, image, plus, minus, top_k, duplicates, language]
    outputs = [said, hits, about, again, found, chosen, scores, times]
    for trigger in (go.click, query.submit, plus.submit, minus.submit, image.upload):
        trigger(searched, inputs, outputs, **heavy)
    tried.click(lambda sample: sample[0], tried, query, **light).then(
        searched, inputs, outputs, **heavy
    )
    hits.select(picked, [found, where, language], [chosen, about, again], **heavy)

    def from_hit(key, chosen, top_k, duplicates, lang):
        return searched(key, "", None, "", "", top_k, duplicates, lang, chosen)

    again.click(from_hit, [where, chosen, top_k, duplicates, language], outputs, **heavy)
    index.click(
        indexed, [files, name, language], [progress, where, name], show_progress="hidden", **slow
    )
    where.input(filled, [where, language], progress, show_progress="hidden", **slow)
    stop.click(stopped, [where, name], None, queue=False, api_visibility="private")
    compare.click(guarded(run.matrix), [where, found, lines, language], matrix, **heavy)
    measure.click(guarded(run.report), [where, language], report, **heavy)
    language.change(
        lambda lang, key: gr.update(choices=run.galleries.choices(lang), value=key),
        [language, where],
        where,
        **light,
    )
    language.change(
        lambda lang, found: gr.skip() if found else pictures.empty(text("search_empty", lang)),
        [language, found],
        said,
        **light,
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
