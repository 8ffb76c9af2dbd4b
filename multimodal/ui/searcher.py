"""What the Search tab asks of its galleries, and what it says about the answers."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from multimodal.errors import UserError
from multimodal.ui import pictures
from multimodal.ui.context import Context
from multimodal.ui.galleries import MINE, Galleries

if TYPE_CHECKING:
    from multimodal.retrieval import IndexProgress, SearchResult

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

    def _bad(self, bad: Sequence[tuple[str, UserError]], language: str) -> str:
        if not bad:
            return ""
        items = "".join(f"<li>{escape(why.said(language))}</li>" for _, why in bad[:LISTED_BAD])
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
        added = terms(plus)
        if not (text or "").strip() and image is None and example is None and added:
            text, added = added[0], added[1:]  # a sum may begin with any of its terms
        return gallery.search(
            text=text,
            image=image or None,
            plus=added,
            minus=terms(minus),
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


def terms(text: str) -> list[str]:
    """The terms of a sum: what stands between commas."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
