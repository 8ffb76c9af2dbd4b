"""Label sets in English and Korean, read from `assets/labels/`."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from multimodal.errors import UserError

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "labels"
LANGUAGES = ("en", "ko")


@dataclass(frozen=True)
class Label:
    """One class under the names people have for it.

    Attributes:
        en: English name.
        ko: Korean name.
        everyday_en: More general English words for it, the most specific first.
        everyday_ko: The same in Korean, word for word.
        wnid: WordNet id, where the set has them.
    """

    en: str
    ko: str
    everyday_en: tuple[str, ...] = ()
    everyday_ko: tuple[str, ...] = ()
    wnid: str | None = None

    def name(self, language: str) -> str:
        """Its name in a language, ``en`` or ``ko``."""
        return self.ko if language == "ko" else self.en

    def everyday(self, language: str) -> tuple[str, ...]:
        """Everyday words for it in a language."""
        return self.everyday_ko if language == "ko" else self.everyday_en


@cache
def label_sets() -> dict[str, dict[str, str]]:
    """Titles (``en``, ``ko``) and ``file`` of every label set, in menu order."""
    return json.loads((FOLDER / "sets.json").read_text("utf-8"))


@cache
def read_label_set(name: str) -> tuple[Label, ...]:
    """The labels of one set, in its own order.

    Args:
        name: A key of `label_sets`.

    Raises:
        UserError: if there is no such set.
    """
    if name not in label_sets():
        raise UserError(f"There is no label set {name!r}; there are {', '.join(label_sets())}.")
    with (FOLDER / label_sets()[name]["file"]).open(encoding="utf-8", newline="") as file:
        return tuple(
            Label(
                row["en"],
                row["ko"],
                _words(row["everyday_en"]),
                _words(row["everyday_ko"]),
                row.get("wnid"),
            )
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        )


def _words(cell: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (cell or "").split("|") if word.strip())
