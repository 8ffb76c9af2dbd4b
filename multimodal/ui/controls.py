"""Inputs that several tabs have."""

import gradio as gr

from multimodal.ui.context import LIGHTLY, Context

SOURCES = ["upload", "webcam", "clipboard"]  # where a photo may come from


def world_menu(
    context: Context, family: str, language: gr.Radio, name: str, world: str = "toybox"
) -> gr.Radio:
    """A menu of a family's worlds that changes with the language.

    Args:
        context: Shared models and texts.
        family: ``vilbert``, ``dalle`` or ``vqvae``.
        language: The switch between ``en`` and ``ko``.
        name: The menu's id on the page.
        world: The one it starts with, if it is there.
    """
    choices = context.worlds(family, context.texts.language)
    menu = context.texts.show(
        gr.Radio(choices=choices, value=context.first(family, world), elem_id=name), label="world"
    )
    language.change(
        lambda lang, value: gr.update(choices=context.worlds(family, lang), value=value),
        [language, menu],
        menu,
        **LIGHTLY,
    )
    return menu
