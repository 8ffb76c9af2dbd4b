"""The Search tab: words find photos, photos find photos and words, in the user's own pictures."""

import re
import threading
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import pictures
from multimodal.ui.context import HEAVY, Context

if TYPE_CHECKING:
    from multimodal.retrieval import Gallery, SearchResult

SCENES, FOLDER = "scenes", "folder"
SCENE_COUNT, SCENE_SIDE = 240, 256
SCENE_MODEL = "clip-toybox"
MATRIX_SIDE = 5
HISTOGRAM_BINS = 40
STANDS_OUT = 2.0  # standard deviations above the mean that a clear hit reaches


class Searcher:
    """What the tab's events call; knows nothing of components."""

    def __init__(self, context: Context) -> None:
        self.context, self.text = context, context.texts
        self.root = Path(context.settings.data) / "galleries"
        self._open: dict[str, Gallery] = {}
        self._lock = threading.RLock()

    def choices(self, language: str) -> list[tuple[str, str]]:
        """Titles and keys of the galleries, for the menu."""
        found = [(self.text("search_scenes", language), SCENES)]
        if self.context.settings.gallery:
            found.append((self.text("search_folder", language), FOLDER))
        saved = sorted(self.root.glob("mine-*/manifest.json")) if self.root.is_dir() else []
        return found + [
            (file.parent.name.removeprefix("mine-"), file.parent.name) for file in saved
        ]

    def gallery(self, key: str) -> "Gallery":
        """An opened gallery; the built-in ones are made at their first use.

        Raises:
            UserError: if there is none of that name or it cannot be opened.
        """
        with self._lock:
            if key not in self._open:
                self._open[key] = self._make(key)
            return self._open[key]

    def _make(self, key: str) -> "Gallery":
        from multimodal.retrieval import Gallery

        if key == SCENES:
            return self._scenes()
        if key == FOLDER and self.context.settings.gallery:
            return self._server_folder(Path(self.context.settings.gallery))
        if not re.fullmatch(r"mine-[\w -]{1,60}", key or "") or not (self.root / key).is_dir():
            raise UserError(f"There is no gallery named {key!r}: choose one of the menu.")
        gallery = Gallery.open(self.root / key)
        return Gallery.open(self.root / key, self.context.clip(gallery.model_name))

    def _scenes(self) -> "Gallery":
        """Drawn scenes with their captions in both languages."""
        from multimodal.checkpoint import bundled
        from multimodal.data.toybox import draw, full_caption, make_scene
        from multimodal.retrieval import Gallery

        name = SCENE_MODEL if SCENE_MODEL in bundled() else self.context.settings.model
        model = self.context.clip(name)
        gallery = Gallery.open_or_create(self.root / f"scenes-{model.fingerprint}", model)
        if len(gallery) < SCENE_COUNT:
            scenes = {f"scene {i:03}": make_scene(i) for i in range(SCENE_COUNT)}
            captions = {
                title: [full_caption(scene, code) for code in ("en", "ko")]
                for title, scene in scenes.items()
            }
            drawn = [(title, draw(scene, SCENE_SIDE)) for title, scene in scenes.items()]
            for _ in gallery.add(drawn, captions):
                pass
        return gallery

    def _server_folder(self, place: Path) -> "Gallery":
        """The folder named at start-up; what is new in it is embedded when it is first chosen."""
        from multimodal.images import list_images
        from multimodal.retrieval import Gallery

        model = self.context.clip(self.context.settings.model)
        key = re.sub(r"\W+", "-", str(place.resolve()))[-60:]
        gallery = Gallery.open_or_create(self.root / f"folder{key}-{model.fingerprint}", model)
        captions = {
            file.relative_to(place).as_posix(): lines
            for file in list_images(place)
            if (lines := _captions_beside(file))
        }
        for _ in gallery.add(place, captions):
            pass
        return gallery

    def index(self, files: Sequence[str], name: str, language: str) -> Iterator[tuple[str, str]]:
        """Embeds uploaded photos, or zips of photos, into a gallery of the user's own.

        Yields:
            HTML of the progress, and the gallery's key.

        Raises:
            UserError: if there is nothing to index or it cannot be stored.
        """
        from multimodal.retrieval import Gallery

        if not files:
            raise UserError(self.text("search_no_files", language))
        name = re.sub(r"[^\w -]+", " ", name or "").strip()[:60]
        key = f"mine-{name or self.text('search_name_hint', language)}"
        model = self.context.clip(self.context.settings.model)
        gallery = Gallery.open_or_create(self.root / key, model)
        with self._lock:
            self._open[key] = gallery
        photos = [(Path(f).name, Path(f)) for f in files if Path(f).suffix.lower() != ".zip"]
        zips = [Path(f) for f in files if Path(f).suffix.lower() == ".zip"]
        bad: list[tuple[str, str]] = []
        for sources in ([photos] if photos else []) + zips:
            step = None
            for step in gallery.add(sources, keep=True):
                say = self.text(
                    "search_progress",
                    language,
                    done=step.done,
                    total=step.total or "?",
                    rate=f"{step.rate or 0:.0f}",
                )
                share = step.done / step.total if step.total else 0
                yield f"<p>{say}</p>{pictures.bar('', share)}", key
            bad += step.bad if step else ()
        done = self.text("search_done", language, count=len(gallery))
        yield f"<p>{done}</p>{self._bad(bad, language)}", key

    def _bad(self, bad: Sequence[tuple[str, str]], language: str) -> str:
        if not bad:
            return ""
        items = "".join(f"<li>{escape(why)}</li>" for _, why in bad[:50])
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
        return self.gallery(key).search(
            text=text,
            image=image or None,
            plus=_words(plus),
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
            key, language, n=len(scores), query=f"<b>{escape(query)}</b>", best=f"{best:.3f}"
        )

    def histogram(self, result: "SearchResult", language: str) -> str:
        """All scores as bars, those of the hits dark."""
        import numpy as np

        counts, edges = np.histogram(np.asarray(result.scores), bins=HISTOGRAM_BINS)
        least = min(hit.score for hit in result.hits)
        tallest = counts.max()
        bars = "".join(
            f'<span title="{edges[i]:.3f}: {n}" class="{"hit" if edges[i + 1] > least else ""}" '
            f'style="height:{100 * n / tallest:.1f}%"></span>'
            for i, n in enumerate(counts)
        )
        return (
            f"<p>{escape(self.text('search_scores_say', language))}</p>"
            f'<div class="histogram" role="img">{bars}</div>'
            f'<div class="axis"><span>{edges[0]:.3f}</span><span>{edges[-1]:.3f}</span></div>'
        )

    def times(self, result: "SearchResult", language: str) -> str:
        """Milliseconds by stage."""
        unit, total = self.text("search_ms", language), result.timings["total"]
        rows = "".join(
            f'<div class="bar"><span class="name">{escape(stage)}</span><span class="track">'
            f'<span class="fill" style="display:block;width:{100 * spent / max(total, 1e-9):.1f}%;'
            f'background:var(--color-accent)"></span></span><span class="share">{spent:.1f}</span>'
            f'<span class="cosine">{unit}</span></div>'
            for stage, spent in result.timings.items()
        )
        return rows

    def captions(self, key: str, item: int) -> str:
        """The captions nearest to a photo of the gallery."""
        near = self.gallery(key).captions_for(item, top_k=5)
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
        gallery, chosen = self.gallery(key), list(found[:MATRIX_SIDE])
        own = [line.strip() for line in lines.splitlines() if line.strip()][:8]
        values = torch.from_numpy(gallery.similarity(chosen, own or None))
        sentences = own or [gallery.item(i).captions[0] for i in chosen]
        uris = [pictures.data_uri(gallery.thumbnail(i), 110) for i in chosen]
        say = escape(self.text("search_matrix_say", language))
        return f"<p>{say}</p>{pictures.matrix(uris, sentences, values)}"

    def report(self, key: str, language: str) -> str:
        """Recall of a captioned gallery, both ways."""
        figures = self.gallery(key).report()
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
            f"<p>{escape(say)}</p><table class='grid'><tr><td></td><th>R@1</th><th>R@5</th>"
            f"<th>R@10</th></tr>{rows}</table>"
        )


def _words(text: str) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _captions_beside(file: Path) -> list[str]:
    text = file.with_suffix(".txt")
    if not text.is_file():
        return []
    lines = text.read_text("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def build(context: Context, language: gr.State) -> None:
    """Lays the tab out and wires its events.

    Args:
        context: Shared models, texts and caches.
        language: The page's language, ``en`` or ``ko``.
    """
    text, run = context.texts, Searcher(context)
    show, lang = text.show, text.language
    chosen = gr.State(None)  # id of the hit that was clicked
    found = gr.State([])  # ids of all hits
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            where = show(
                gr.Dropdown(choices=run.choices(lang), value=SCENES, elem_id="search-gallery"),
                label="search_gallery",
            )
            query = show(
                gr.Textbox(max_lines=2, max_length=2000, elem_id="search-text"),
                label="search_text",
                placeholder="search_text_hint",
            )
            image = show(
                gr.Image(type="filepath", sources=["upload", "webcam", "clipboard"], height=190),
                label="search_image",
            )
            with gr.Row():
                plus = show(gr.Textbox(max_lines=1, max_length=500), label="search_plus")
                minus = show(gr.Textbox(max_lines=1, max_length=500), label="search_minus")
            go = show(gr.Button(variant="primary", elem_id="search-go"), value="search_go")
            with show(gr.Accordion(open=False), label="more"):
                top_k = show(gr.Slider(1, 48, value=12, step=1), label="search_top")
                duplicates = show(gr.Checkbox(), label="search_duplicates")
            with show(gr.Accordion(open=False, elem_id="search-mine"), label="search_mine"):
                files = show(
                    gr.File(file_count="multiple", file_types=["image", ".zip"], height=140),
                    label="search_files",
                )
                name = show(
                    gr.Textbox(max_lines=1, max_length=60),
                    label="search_name",
                    placeholder="search_name_hint",
                )
                with gr.Row():
                    index = show(gr.Button(variant="primary"), value="search_index")
                    stop = show(gr.Button(variant="stop"), value="search_stop")
                progress = gr.HTML(elem_id="search-progress")
        with gr.Column(scale=7, min_width=320):
            said = gr.HTML(pictures.empty(text("search_empty")), elem_id="search-said")
            hits = show(
                gr.Gallery(
                    columns=4,
                    height=520,
                    object_fit="cover",
                    allow_preview=False,
                    elem_id="search-hits",
                    visible=False,
                ),
                label="search_hits",
            )
            about = gr.HTML()
            again = show(gr.Button(visible=False, size="sm"), value="search_from_hit")
    with gr.Tabs():
        with show(gr.Tab(), label="search_scores"):
            scores = gr.HTML(elem_id="search-scores")
        with show(gr.Tab(), label="search_time"):
            times = gr.HTML()
        with show(gr.Tab(), label="search_matrix"):
            lines = show(gr.Textbox(lines=3, max_length=4000), label="search_matrix_lines")
            compare = show(gr.Button(), value="search_matrix_go")
            matrix = gr.HTML(elem_id="search-matrix")
        with show(gr.Tab(), label="search_report"):
            measure = show(gr.Button(), value="search_report_go")
            report = gr.HTML()

    def searched(key, query, image, plus, minus, top_k, duplicates, lang, example=None):
        nothing = [gr.update(visible=False), "", gr.update(visible=False), [], None, "", ""]
        if not (query or image or plus or minus) and example is None:
            return [pictures.empty(text("search_empty", lang)), *nothing]
        try:
            result = run.search(key, query, image, plus, minus, top_k, duplicates, example)
            asked = query.strip() or text("search_this_photo", lang)
            asked += "".join(f" + {w}" for w in _words(plus))
            asked += "".join(f" - {w}" for w in _words(minus))
            gallery = run.gallery(key)
            shown = [(gallery.thumbnail(h.id), f"{h.rank} · {h.score:.3f}") for h in result.hits]
            return [
                f'<p class="say">{run.said(result, asked, lang)}</p>',
                gr.update(value=shown, visible=True),
                "",
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
        name = escape(text("search_chosen", lang, name=run.gallery(key).item(hit).name))
        try:
            near = f"<h4>{escape(text('search_captions', lang))}</h4>{run.captions(key, hit)}"
        except UserError:  # most galleries have no captions, and need none to be searched
            near = ""
        return hit, f"<p>{name}</p>{near}", gr.update(visible=True)

    def indexed(files, name, lang):
        try:
            for html, key in run.index(files, name, lang):
                yield html, gr.update(choices=run.choices(lang), value=key)
        except UserError as error:
            yield pictures.problem(str(error)), gr.skip()

    def guarded(work):
        def call(*given):
            try:
                return work(*given)
            except UserError as error:
                return pictures.problem(str(error))

        return call

    heavy = {"concurrency_id": HEAVY, "concurrency_limit": 2, "api_visibility": "private"}
    inputs = [where, query, image, plus, minus, top_k, duplicates, language]
    outputs = [said, hits, about, again, found, chosen, scores, times]
    for trigger in (go.click, query.submit, plus.submit, minus.submit, image.upload):
        trigger(searched, inputs, outputs, **heavy)
    hits.select(picked, [found, where, language], [chosen, about, again], **heavy)

    def from_hit(key, chosen, top_k, duplicates, lang):
        return searched(key, "", None, "", "", top_k, duplicates, lang, chosen)

    again.click(from_hit, [where, chosen, top_k, duplicates, language], outputs, **heavy)
    running = index.click(indexed, [files, name, language], [progress, where], **heavy)
    stop.click(None, cancels=[running], api_visibility="private")
    compare.click(guarded(run.matrix), [where, found, lines, language], matrix, **heavy)
    measure.click(guarded(run.report), [where, language], report, **heavy)
    language.change(
        lambda lang, key: gr.update(choices=run.choices(lang), value=key),
        [language, where],
        where,
        show_progress="hidden",
        api_visibility="private",
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
                {"rank": h.rank, "score": h.score, "name": h.name, "caption": h.caption}
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
