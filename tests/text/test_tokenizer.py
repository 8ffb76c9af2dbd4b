import json

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from multimodal.errors import UserError
from multimodal.text.tokenizer import (
    TextTokenizer,
    everyday_syllables,
    extend_wordpiece,
    pad,
    train_wordpiece,
)


def bert_like() -> str:
    """A small table in the shape of BERT's."""
    pieces = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [*"abcdefghijklmnopqrstuvwxyz", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz")]
    pieces += ["boat", "house", "##s", "queen", "ᄇ"]
    pieces = list(dict.fromkeys(pieces))
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer.to_str()


@pytest.fixture
def extended():
    tokenizer, rows = extend_wordpiece(bert_like(), ["boats"], ["빨간 배", "파란 배"], 3000)
    return TextTokenizer(tokenizer, 16), rows


def test_unused_rows_go_and_used_ones_keep_their_vectors(extended):
    tokenizer, rows = extended
    old = json.loads(bert_like())["model"]["vocab"]
    vocab = json.loads(tokenizer.to_json())["model"]["vocab"]
    assert "queen" not in vocab and "[unused0]" not in vocab
    assert rows[vocab["boat"]] == old["boat"]
    assert rows[vocab["배"]] == -1
    assert len(rows) == tokenizer.vocab_size


def test_any_word_still_splits_into_pieces(extended):
    tokenizer, _ = extended
    assert tokenizer.pieces("queen boats") == [
        "[CLS]",
        "q",
        "##u",
        "##e",
        "##e",
        "##n",
        "boat",
        "##s",
        "[SEP]",
    ]


def test_hangul_stays_in_syllables(extended):
    tokenizer, _ = extended
    assert "배" in tokenizer.pieces("빨간 배")
    assert "[UNK]" not in tokenizer.pieces("뚫어뻥 고양이 빙하")


def test_round_trip_and_truncation(extended):
    tokenizer, _ = extended
    again = TextTokenizer.from_json(tokenizer.to_json(), 16)
    assert again.ids(["boat 배"]) == tokenizer.ids(["boat 배"])
    ids, mask = tokenizer(["boat " * 5000, ""])
    assert ids.shape == (2, 16) and mask.sum(1).tolist() == [16, 2]


def test_foreign_file_is_refused():
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        TextTokenizer.from_json("{}", 8)


def test_everyday_syllables_are_those_of_the_standard():
    syllables = everyday_syllables()
    assert len(syllables) == 2350 and syllables[0] == "가" and "힝" in syllables


def test_pad_of_unequal_rows():
    ids, mask = pad([[5], [6, 7, 8]])
    assert ids.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert mask.tolist() == [[True, False, False], [True, True, True]]


def test_learned_table_covers_both_languages():
    tokenizer = TextTokenizer(train_wordpiece(["red boat", "빨간 배"] * 5, 100), 16)
    assert "[UNK]" not in tokenizer.pieces("red boat 빨간 배")
