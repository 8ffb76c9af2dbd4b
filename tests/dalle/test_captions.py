import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.dalle.captions import START, CaptionTokenizer
from multimodal.errors import UserError


def test_each_empty_place_has_its_own_pad(captions):
    row = captions(["a boat"])[0]
    words = len(captions.ids(["a boat"])[0])
    pads = row[1 + words :].tolist()
    assert row[0] == captions.start and len(row) == 11
    assert pads == [captions.vocab_size + place for place in range(words, 10)]


def test_no_caption_is_all_pads(captions):
    assert captions([""])[0, 1:].tolist() == list(
        range(captions.vocab_size, captions.vocab_size + 10)
    )
    assert torch.equal(captions([" \n\t "]), captions([""]))


def test_both_languages_read_back_as_they_were(captions):
    assert " ".join(piece for piece, _ in captions.pieces("a red boat")) == "a red boat"
    assert "".join(piece for piece, _ in captions.pieces("빨간 배")) == "빨간배"


def test_a_piece_that_is_only_a_space_is_shown(captions):
    assert captions.pieces("a zebra")[:2] == [("a", 1), ("\u2423", 1)]


def test_a_letter_of_several_tokens_is_one_piece(captions):
    ((cat, tokens),) = captions.pieces("\U0001f431")[-1:]
    assert cat.endswith("\U0001f431") and tokens > 1
    for caption in ("고양이 \U0001f431", "\U0001f431" * 50, "\ufffd"):
        told = captions.pieces(caption)
        assert sum(n for _, n in told) == len(captions.ids([caption])[0])


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_row_of_the_right_length(captions, text):
    row = captions([text])[0]
    assert row.shape == (11,) and row.min() >= 0 and row.max() < captions.vocab_size + 10


@pytest.mark.parametrize(
    "text", ["boat " * 2000, "🚤🐱" * 50, "\x00\x07\u200b boat", "\ud800", "القارب"]
)
def test_odd_texts_are_read(captions, text):
    assert captions([text]).shape == (1, 11)
    captions.pieces(text)


def test_capitals_and_spaces_do_not_matter(captions):
    assert captions.ids(["A  Red\nBOAT "]) == captions.ids(["a red boat"])


def test_a_torn_or_foreign_tokenizer_is_refused(captions):
    again = CaptionTokenizer.from_json(captions.to_json(), 10)
    assert again.ids(["a red boat"]) == captions.ids(["a red boat"])
    with pytest.raises(UserError, match="copy"):
        CaptionTokenizer.from_json("{", 10)
    with pytest.raises(UserError, match="another kind"):
        CaptionTokenizer.from_json(captions.to_json().replace(START, "[OTHER]"), 10)
