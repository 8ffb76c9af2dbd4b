"""Captions as text tokens: a byte-level BPE (Sennrich et al. 2016), English and Korean alike."""

import unicodedata
from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from multimodal.errors import UserError

START = "[START]"
SPACE = "\u2423"  # an open box
TORN = "\ufffd"  # the replacement character
LONGEST = 2000  # characters that are looked at: an endless paste must cost nothing


class CaptionTokenizer:
    """Captions to rows of equal length; each place that stays empty has a pad token of its own."""

    def __init__(self, tokenizer: Tokenizer, text_tokens: int) -> None:
        self._tokenizer, self.text_tokens = tokenizer, text_tokens
        self.vocab_size = tokenizer.get_vocab_size()
        self.start = tokenizer.token_to_id(START)

    @classmethod
    def train(
        cls, captions: Iterable[str], vocab_size: int, text_tokens: int
    ) -> "CaptionTokenizer":
        """Learns the pieces from captions; all 256 bytes are among them, so nothing is unknown."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[START],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer, text_tokens)

    @classmethod
    def from_json(cls, text: str, text_tokens: int) -> "CaptionTokenizer":
        """Reads the text of a `tokenizer.json`.

        Raises:
            UserError: if it is not one of this kind.
        """
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception for any torn file
            raise UserError(
                "tokenizer.json is not a tokenizer file: copy the checkpoint folder again."
            ) from error
        if tokenizer.token_to_id(START) is None:
            raise UserError(f"tokenizer.json has no {START}: it belongs to another kind of model.")
        return cls(tokenizer, text_tokens)

    def to_json(self) -> str:
        """The text of a `tokenizer.json`."""
        return self._tokenizer.to_str()

    def pieces(self, caption: str) -> list[tuple[str, int]]:
        """The caption's pieces as they read and how many tokens each takes, cut as `ids` is.

        A letter that is spread over several tokens is one piece; of one that was cut the
        replacement character is left. A lone space is shown as a sign.
        """
        pieces, letter = [], []
        for number in self.ids([caption])[0]:
            letter.append(number)
            read = self.read(letter)
            if TORN not in read:
                pieces.append((read, len(letter)))
                letter = []
        return pieces + ([(TORN, len(letter))] if letter else [])

    def read(self, ids: Sequence[int]) -> str:
        """Pieces as they read; a torn letter shows as the replacement character."""
        return self._tokenizer.decode(list(ids)).strip() or SPACE

    def ids(self, captions: Sequence[str]) -> list[list[int]]:
        """Pieces of each caption as numbers, cut, without start mark and pads."""
        encodings = self._tokenizer.encode_batch([_clean(caption) for caption in captions])
        return [encoding.ids[: self.text_tokens] for encoding in encodings]

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """(len(captions), text_tokens + 1): start mark, pieces, and a pad for each empty place."""
        return self.fill(self.ids(captions))

    def fill(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Rows of piece numbers with their start mark and pads, (len(ids), text_tokens + 1)."""
        pads = torch.arange(self.vocab_size, self.vocab_size + self.text_tokens)
        rows = torch.cat([torch.tensor([self.start]), pads]).repeat(len(ids), 1)
        for row, pieces in zip(rows, ids, strict=True):
            row[1 : 1 + len(pieces)] = torch.tensor(pieces, dtype=torch.long)
        return rows


def _clean(caption: str) -> str:
    """One line without control characters; lone surrogates cannot be encoded and go too."""
    kept = "".join(
        " " if c.isspace() else c
        for c in caption[:LONGEST]
        if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )
    return " ".join(kept.split())
