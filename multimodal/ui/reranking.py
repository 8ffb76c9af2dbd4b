"""In the Search tab: the first hits in CLIP's order, and in that of the two-stream model."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import pictures
from multimodal.ui.context import HEAVILY, Context
from multimodal.ui.galleries import SCENES, Galleries

FIRST = 20  # hits that are read again
SIDE = 160  # pixels of a picture on the page


@dataclass(frozen=True)
class Asked:
    """A search by words alone.

    Attributes:
        gallery: Key of the gallery.
        words: What was looked for.
        hide_duplicates: Whether near duplicates were left out.
    """

    gallery: str
    words: str
    hide_duplicates: bool


class Reranker:
    """What the button calls; knows nothing of components."""

    def __init__(self, context: Context, galleries: Galleries) -> None:
        self.context, self.text, self.galleries = context, context.texts, galleries

    def model(self, key: str) -> str | None:
        """The bundled two-stream model that suits a gallery, None where there is none."""
        return self.context.first("vilbert", "toybox" if key == SCENES else "photos")

    def rerank(self, asked: Asked | None, language: str) -> str:
        """Both orders side by side, and why they cost so differently.

        Raises:
            UserError: if there was no search by words alone, the model does not read their
                language, or a photo is gone.
        """
        from multimodal.clip.prompts import language_of
        from multimodal.vilbert.rerank import rerank

        if asked is None:
            raise UserError(self.text("search_rerank_first", language))
        name = self.model(asked.gallery)
        model = self.context.vilbert(name)
        if language_of(asked.words) not in model.languages:
            raise UserError(self.text("search_rerank_language", language, model=name))
        gallery = self.galleries.open(asked.gallery)
        found = gallery.search(asked.words, top_k=FIRST, hide_duplicates=asked.hide_duplicates)
        hits = found.hits
        photos = [gallery.picture(hit.id, at_least=model.config.image_size) for hit in hits]
        result = rerank(model, photos, asked.words)

        shown = [
            f'<img src="{pictures.data_uri(gallery.thumbnail(hit.id), SIDE)}" '
            f'alt="{escape(hit.name)}" title="{escape(hit.name)}">'
            for hit in hits
        ]
        before = (
            (image, f"{hit.rank} · {hit.score:.3f}") for image, hit in zip(shown, hits, strict=True)
        )
        after = (
            (
                shown[i],
                f"{rank} · {pictures.percent(result.probabilities[i])} "
                + self._moved(hits[i].rank - rank, language),
            )
            for rank, i in enumerate(result.order, 1)
        )
        moved = sum(hits[i].rank != rank for rank, i in enumerate(result.order, 1))
        best = hits[result.order[0]].rank
        say = self.text(
            "search_rerank_same" if best == 1 else "search_rerank_other",
            language,
            rank=best,
            moved=moved,
            n=len(hits),
        )
        why = self.text(
            "search_rerank_why",
            language,
            search=f"{found.timings['search']:.1f}",
            count=found.count,
            pairs=f"{result.pairs_ms:.0f}",
            regions=f"{result.regions_ms:.0f}",
            n=len(hits),
        )
        left = self.text("search_rerank_clip", language, model=gallery.model_name)
        right = self.text("search_rerank_two", language, model=name)
        return (
            f'<p class="say">{escape(say)}</p><p>{escape(why)}</p>'
            f'<div class="orders">{_order(left, before)}{_order(right, after)}</div>'
        )

    def _moved(self, places: int, language: str) -> str:
        """How many places a photo went up, as a sign with a text for those who cannot see it."""
        if not places:
            return ""
        way, sign = ("up", "▲") if places > 0 else ("down", "▼")
        say = escape(self.text(f"search_rerank_{way}", language, n=abs(places)))
        return (
            f'<span class="{way}" role="img" aria-label="{say}" title="{say}">'
            f"{sign}{abs(places)}</span>"
        )


def _order(title: str, photos: Iterable[tuple[str, str]]) -> str:
    """Photos in a row, with a title over them and a line under each."""
    items = "".join(f"<li>{image}<div>{line}</div></li>" for image, line in photos)
    return f"<section><h4>{escape(title)}</h4><ol>{items}</ol></section>"


def build(
    context: Context, galleries: Galleries, asked: gr.State, language: gr.Radio
) -> list[gr.components.Component]:
    """Lays the inner tab out and wires its button, where there is a two-stream model.

    Args:
        context: Shared models, texts and caches.
        galleries: Of the Search tab.
        asked: The latest search, an `Asked` or None.
        language: The switch between ``en`` and ``ko``.

    Returns:
        What a new search empties.
    """
    run, show = Reranker(context, galleries), context.texts.show
    if run.model(SCENES) is None:
        return []
    with show(gr.Tab(), label="search_rerank"):
        show(gr.Markdown(elem_classes="fine"), value="search_rerank_info")
        go = show(gr.Button(elem_id="search-rerank"), value="search_rerank_go")
        orders = gr.HTML(elem_id="search-orders")

    def reranked(asked, lang):
        try:
            return run.rerank(asked, lang)
        except UserError as error:
            return pictures.problem(error.said(lang))

    go.click(reranked, [asked, language], orders, **HEAVILY)
    return [orders]
