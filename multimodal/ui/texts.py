"""Every sentence of the page in English and Korean, and the switch between them.

Texts live in `translations/*.json`. A component that shows one is registered here, so that the
switch can change all of them in place while what the user typed stays.
"""

import json
from pathlib import Path
from typing import Any

import gradio as gr

LANGUAGES = {"en": "English", "ko": "한국어"}
FOLDER = Path(__file__).parent / "translations"


def read_texts() -> dict[str, dict[str, str]]:
    """All texts by key, then language."""
    texts: dict[str, dict[str, str]] = {}
    for file in sorted(FOLDER.glob("*.json")):
        texts |= json.loads(file.read_text("utf-8"))
    return texts


class Texts:
    """Looks texts up and keeps track of the components that show them."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._texts = read_texts()
        self._shown: list[tuple[gr.components.Component, dict[str, Any]]] = []

    def __call__(self, key: str, language: str | None = None, **values: Any) -> str:
        """A text in a language, its ``{names}`` filled in."""
        text = self._texts[key][language or self.language]
        return text.format(**values) if values else text

    def show(self, component: Any, **properties: Any) -> Any:
        """Registers a component and gives it its first texts.

        Args:
            component: A Gradio component.
            properties: Property name to text key; for ``choices`` a list of (key, value).

        Returns:
            The component.
        """
        for name, value in self._resolve(properties, self.language).items():
            setattr(component, name, value)
        self._shown.append((component, properties))
        return component

    @property
    def components(self) -> list[Any]:
        """The components that a change of language updates."""
        return [component for component, _ in self._shown]

    def updates(self, language: str) -> list[dict]:
        """Updates for all of `components`, in their order."""
        return [gr.update(**self._resolve(p, language)) for _, p in self._shown]

    def _resolve(self, properties: dict[str, Any], language: str) -> dict[str, Any]:
        return {
            name: [(self(k, language), v) for k, v in key]
            if isinstance(key, list)
            else self(key, language)
            for name, key in properties.items()
        }


def preferred(header: str | None) -> str:
    """The language of an Accept-Language header: Korean if it comes first, else English."""
    return "ko" if (header or "").strip().lower().startswith("ko") else "en"
