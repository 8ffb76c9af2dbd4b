"""Tokenizers of OpenCLIP's text towers that come as a `tokenizer.json` (SigLIP, CLIPA, ...).

OpenCLIP reads them through `transformers`; the file alone says the same, and `tokenizers` reads it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from open_clip.tokenizer import get_clean_fn
from tokenizers import Tokenizer
from torch import Tensor

from multimodal.clip.openclip.table import OpenClipError


class FastTokenizer:
    """Texts to token ids of one length, as `open_clip.tokenizer.HFTokenizer` gives them.

    Args:
        path: `tokenizer.json`; `tokenizer_config.json` beside it names the padding.
        context: Tokens per text, special ones included: longer texts are cut, shorter padded.
        vocab_size: Rows of the model's embedding table.
        clean: How a text is cleaned first: ``whitespace``, ``lower`` or ``canonicalize``.
        strip_sep_token: Whether the separator's id is replaced by 0.

    Raises:
        OpenClipError: if the files are torn, name no padding, or are another model's.
    """

    def __init__(
        self,
        path: Path,
        context: int,
        vocab_size: int,
        clean: str = "whitespace",
        strip_sep_token: bool = False,
    ) -> None:
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise OpenClipError(f"{path} is torn or no tokenizer: copy it again.") from error
        largest = max(self.tokenizer.get_vocab().values(), default=0)
        if largest >= vocab_size:
            raise OpenClipError(
                f"{path} has pieces up to number {largest} and the model knows {vocab_size}: it "
                "is another model's, so put the right one there."
            )
        settings = _settings(path.parent)
        pad = _token(settings.get("pad_token"))
        pad_id = None if pad is None else self.tokenizer.token_to_id(pad)
        if pad_id is None and self.tokenizer.padding is not None:
            pad, pad_id = (self.tokenizer.padding[key] for key in ("pad_token", "pad_id"))
        if pad_id is None:
            raise OpenClipError(
                f"Nothing says what {path} pads texts with: put the tokenizer_config.json of the "
                "same model beside it."
            )
        self.tokenizer.enable_truncation(context)
        self.tokenizer.enable_padding(
            direction=settings.get("padding_side", "right"),
            pad_id=pad_id,
            pad_token=pad,
            length=context,
        )
        self.clean = get_clean_fn(clean)
        self.separator = None
        if strip_sep_token:
            separator = _token(settings.get("sep_token")) or "[SEP]"
            self.separator = self.tokenizer.token_to_id(separator)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encodes texts: (len(texts), context) int64."""
        encoded = self.tokenizer.encode_batch([self.clean(text) for text in texts])
        ids = torch.tensor([entry.ids for entry in encoded], dtype=torch.long)
        if self.separator is not None:
            ids[ids == self.separator] = 0
        return ids


def _settings(folder: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        if path.is_file():
            try:
                merged.update(json.loads(path.read_text("utf-8")))
            except ValueError as error:
                raise OpenClipError(f"{path} is torn: copy it again.") from error
    return merged


def _token(entry: str | dict | None) -> str | None:
    """A special token is stored as its text, or as an object that holds it."""
    return entry.get("content") if isinstance(entry, dict) else entry
