"""Fetching an OpenCLIP model: the only button of the page that uses the network."""

import threading
from collections.abc import Iterator

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import pictures
from multimodal.ui.context import DOWNLOADING, Context

FIRST = "openclip:ViT-B-32/laion2b_s34b_b79k"


class Downloads:
    """Downloads one model at a time, with a Stop that keeps what has come."""

    def __init__(self, context: Context) -> None:
        self.text, self._stop = context.texts, threading.Event()

    def run(self, name: str, language: str) -> Iterator[str]:
        """Fetches a model into the cache: HTML of the progress.

        Raises:
            UserError: if it is unknown, the network is out, or the disk is full.
        """
        from multimodal.clip import openclip
        from multimodal.download import gigabytes

        if not name:
            raise UserError(self.text("openclip_none", language))
        self._stop.clear()
        for report in openclip.download(name):
            if self._stop.is_set():
                yield f"<p>{self.text('openclip_stopped', language)}</p>"
                return
            size = gigabytes(report.total) if report.total else "?"
            say = self.text("openclip_progress", language, done=gigabytes(report.done), total=size)
            share = report.done / report.total if report.total else 0
            yield f"<p>{say}</p>{pictures.bar(name.removeprefix('openclip:'), share)}"
        yield f"<p>{self.text('openclip_done', language)}</p>"

    def stop(self) -> None:
        """Ends the download at its next report; it goes on from there when it is begun again."""
        self._stop.set()


def build(context: Context, model: gr.Dropdown, language: gr.Radio) -> None:
    """Lays out menu, button and progress.

    Args:
        context: Shared models and texts.
        model: The menu of models, which offers the new one afterwards.
        language: The switch between ``en`` and ``ko``.
    """
    from multimodal.clip.openclip import openclip_models

    text, run = context.texts, Downloads(context)
    show = text.show
    names = [(info.title, info.name) for info in openclip_models(present_only=False)]
    with show(gr.Accordion(open=False, elem_id="openclip"), label="openclip_title"):
        show(gr.Markdown(elem_classes="fine"), value="openclip_say")
        wanted = show(gr.Dropdown(choices=names, value=FIRST), label="openclip_model")
        with gr.Row():
            go = show(gr.Button(elem_id="openclip-go"), value="openclip_go")
            stop = show(gr.Button(variant="stop"), value="search_stop")
        progress = gr.HTML(elem_id="openclip-progress")

    def fetched(name, current, language):
        try:
            for html in run.run(name, language):
                yield html, gr.skip()
        except UserError as error:
            yield pictures.problem(error.said(language)), gr.skip()
            return
        choices = context.clip_choices()
        here = name in [key for _, key in choices]  # not after a Stop
        yield gr.skip(), gr.update(choices=choices, value=name if here else current)

    go.click(
        fetched,
        [wanted, model, language],
        [progress, model],
        concurrency_id=DOWNLOADING,
        concurrency_limit=1,
        show_progress="hidden",
        api_visibility="private",
    )
    stop.click(run.stop, None, None, queue=False, api_visibility="private")
