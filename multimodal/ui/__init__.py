"""The page: one module per tab, on Gradio. Models load when they are first used."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from multimodal.errors import UserError

if TYPE_CHECKING:
    import gradio as gr

    from multimodal.ui.settings import Settings

UPLOAD_LIMIT = "200mb"
WAITING = 200  # events that may queue; a class of thirty stays well below


def build_app(settings: Settings) -> gr.Blocks:
    """Lays out the page.

    Args:
        settings: Start-up choices.
    """
    # before Gradio is imported: it must not call home
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from multimodal.ui import ask, classify, draw, search
    from multimodal.ui.context import Context
    from multimodal.ui.texts import LANGUAGES, Texts

    texts = Texts(settings.lang or "en")
    context = Context(settings, texts)
    with gr.Blocks(title=texts("title"), analytics_enabled=False) as page:
        with gr.Row(elem_id="head"):
            title = texts.show(gr.HTML(padding=False), value="head")
            title.scale = 8
            language = gr.Radio(
                choices=[(name, code) for code, name in LANGUAGES.items()],
                value=texts.language,
                show_label=False,
                container=False,
                elem_id="language",
                scale=1,
                min_width=210,
            )
            dark = texts.show(
                gr.Button(size="sm", scale=0, min_width=90, elem_id="dark"), value="dark"
            )
            dark.click(None, js="() => { document.body.classList.toggle('dark') }")
        with gr.Tabs():
            for tab in (classify, search, ask, draw):
                name = tab.__name__.rsplit(".", 1)[-1]
                with texts.show(gr.Tab(id=name, elem_id=f"tab-{name}"), label=f"tab_{name}"):
                    tab.build(context, language)
        texts.show(gr.Markdown(elem_id="limits"), value="limits")

        quiet = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
        language.change(texts.updates, language, texts.components, **quiet)
        page.load(context.warm_up, None, None, **quiet)
        if settings.lang is None:
            page.load(_browsers_language(), None, language, **quiet)
    return page.queue(max_size=WAITING, default_concurrency_limit=8)


def _browsers_language() -> Callable:
    """An event that reads the language off the browser's request."""
    import gradio as gr

    from multimodal.ui.texts import preferred

    def read(request):
        return preferred(request.headers.get("accept-language"))

    read.__annotations__["request"] = gr.Request  # Gradio passes the request by this annotation
    return read


def launch(settings: Settings) -> None:
    """Serves the page until Ctrl-C.

    Raises:
        UserError: if the port is taken or the folder for galleries cannot be written.
    """
    try:
        page = build_app(settings)
    except OSError as error:
        raise UserError(
            f"{settings.data} cannot be written ({error.strerror}): give another folder as --data."
        ) from error
    from multimodal.ui import examples
    from multimodal.ui.theme import CSS, theme

    try:
        page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share,
            theme=theme(),
            css=CSS,
            max_file_size=UPLOAD_LIMIT,
            allowed_paths=[str(examples.folder(settings.data)), str(examples.SHIPPED)],
            footer_links=[],
            ssr_mode=False,
            mcp_server=_has_mcp(),
            show_error=True,
        )
    except OSError as error:
        raise UserError(
            f"The page cannot be served on {settings.host}, port {settings.port or 'any'} "
            f"({error}): give another --port or --host."
        ) from error


def _has_mcp() -> bool:
    from importlib.util import find_spec

    return find_spec("mcp") is not None
