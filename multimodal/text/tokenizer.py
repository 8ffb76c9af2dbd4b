"""WordPiece tokens (Schuster & Nakajima 2012) through the `tokenizers` library."""

import json
from collections.abc import Iterable, Sequence

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from multimodal.errors import UserError

PAD, UNKNOWN, START, END, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, START, END, MASK)

# Longest text that is looked at, in characters: an endless paste must cost nothing.
MAX_CHARACTERS = 2000


class TextTokenizer:
    """Sentences to padded word-piece numbers."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    @classmethod
    def from_json(cls, text: str, max_tokens: int) -> "TextTokenizer":
        """Reads the text of a `tokenizer.json`.

        Raises:
            UserError: if it is not one.
        """
        try:
            return cls(Tokenizer.from_str(text), max_tokens)
        except Exception as error:  # the library raises bare Exception for any torn file
            raise UserError(
                "tokenizer.json is not a tokenizer file: copy the checkpoint folder again."
            ) from error

    def to_json(self) -> str:
        """The text of a `tokenizer.json`."""
        return self._tokenizer.to_str()

    @property
    def vocab_size(self) -> int:
        """Number of word pieces."""
        return self._tokenizer.get_vocab_size()

    def vocab(self) -> dict[str, int]:
        """Every word piece and its number."""
        return self._tokenizer.get_vocab()

    def pieces(self, text: str) -> list[str]:
        """The word pieces of one text, start and end marks included."""
        return self._tokenizer.encode(text[:MAX_CHARACTERS]).tokens

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Word-piece numbers of each text, unpadded."""
        clipped = [text[:MAX_CHARACTERS] for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(clipped)]

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encodes a batch.

        Returns:
            ids (batch, tokens) int64 and mask (batch, tokens) bool, True where there is a word.
        """
        return pad(self.ids(texts))


def pad(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Stacks unequal rows: ids (batch, tokens) int64, zero-padded, and their mask, bool."""
    longest = max((len(row) for row in ids), default=1)
    padded = torch.zeros(len(ids), longest, dtype=torch.long)
    mask = torch.zeros(len(ids), longest, dtype=torch.bool)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return padded, mask


def train_wordpiece(texts: Iterable[str], vocab_size: int, alphabet: str = "") -> Tokenizer:
    """Learns a word-piece table from texts.

    Args:
        texts: Sentences in any mix of English and Korean.
        vocab_size: Rows to learn at most.
        alphabet: Characters that must be in it even if no text has them.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=list(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer)


def extend_wordpiece(
    start: str, english: Iterable[str], korean: Iterable[str], korean_pieces: int
) -> tuple[Tokenizer, Tensor]:
    """Fits a BERT's word-piece table to our texts: unused rows go, Korean rows come.

    BERT's normaliser takes Hangul syllables apart into single letters; composing them again
    afterwards lets whole Korean syllables and words be pieces.

    Args:
        start: Text of the BERT's `tokenizer.json`.
        english: Texts whose pieces are kept (every single character is kept besides, so that any
            word still splits into pieces).
        korean: Texts that Korean pieces are learned from.
        korean_pieces: How many to learn, the 2,350 everyday syllables included.

    Returns:
        The new tokenizer, and for each of its rows the row in the BERT's table or -1.
    """
    old = Tokenizer.from_str(start)
    old.no_truncation()
    old.no_padding()
    old_vocab = old.get_vocab()
    used = {
        piece
        for piece in old_vocab
        if piece in SPECIAL or (piece.isascii() and len(piece.removeprefix("##")) == 1)
    }
    for batch in _batches(english, 4096):
        for encoding in old.encode_batch(batch):
            used.update(encoding.tokens)
    learned = train_wordpiece(korean, korean_pieces, "".join(everyday_syllables())).get_vocab()
    hangul = {piece for piece in learned if any("가" <= c <= "힣" for c in piece)}
    hangul |= {"##" + syllable for syllable in everyday_syllables()}
    ordered = [*SPECIAL, *sorted(used - set(SPECIAL), key=old_vocab.__getitem__), *sorted(hangul)]
    # the model part is edited as JSON: the library has no call to replace a vocabulary
    body = json.loads(old.to_str())
    body["model"]["vocab"] = {piece: row for row, piece in enumerate(ordered)}
    body["added_tokens"] = []
    body["post_processor"] = None
    new = Tokenizer.from_str(json.dumps(body))
    new.normalizer = _normalizer()
    rows = torch.tensor([old_vocab.get(piece, -1) for piece in ordered])
    return _finish(new), rows


def everyday_syllables() -> list[str]:
    """The 2,350 Hangul syllables of the KS X 1001 standard."""
    found = []
    for code in range(0xAC00, 0xD7A4):
        # the standard's own syllables take two bytes; the codec spells out all others in eight
        if len(chr(code).encode("euc_kr")) == 2:
            found.append(chr(code))
    return found


def _normalizer() -> normalizers.Normalizer:
    # lower-case and strip accents as BERT does, then put Hangul syllables together again
    return normalizers.Sequence(
        [normalizers.BertNormalizer(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.NFC()]
    )


def _finish(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.add_special_tokens([piece for piece in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(piece, tokenizer.token_to_id(piece)) for piece in (START, END)],
    )
    return tokenizer


def _batches(texts: Iterable[str], size: int) -> Iterable[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
