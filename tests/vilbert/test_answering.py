import io
import threading

import pytest
import torch
from PIL import Image

from multimodal import checkpoint, vilbert
from multimodal.errors import UserError
from multimodal.images import open_image


@pytest.fixture
def photo():
    return Image.effect_noise((50, 40), 80).convert("RGB")


def test_answers_come_best_first_with_probabilities(answerer, photo):
    found = answerer.answer(photo, "what color is the boat?", top_k=3)
    assert len(found) == 3 and all(0 <= a.probability <= 1 for a in found)
    assert found == sorted(found, key=lambda a: -a.probability)
    assert len(answerer.answer(photo, "what?", top_k=99)) == len(answerer.answers)


def test_only_these_answers_sum_to_one(answerer, photo):
    found = answerer.answer(photo, "is there a boat?", only=["Yes", "no", "no"])
    assert {a.text for a in found} == {"yes", "no"}
    assert sum(a.probability for a in found) == pytest.approx(1)
    with pytest.raises(UserError, match="does not know the answer 'unicorn'"):
        answerer.answer(photo, "what is it?", only=["unicorn"])
    with pytest.raises(UserError, match="at least one"):
        answerer.answer(photo, "what is it?", only=[])


def test_a_blanked_picture_is_the_same_whatever_the_photo(answerer, photo):
    blind = answerer.answer_blind("what color is the boat?")
    assert blind == answerer.answer_blind("what color is the boat?")
    seen = {a.text: a.probability for a in answerer.answer(photo, "what color is the boat?")}
    assert any(abs(seen[a.text] - a.probability) > 1e-6 for a in blind if a.text in seen)


def test_many_questions_at_once_equal_one_by_one(answerer, photo):
    other = Image.new("RGB", (32, 32), "red")
    regions = answerer.encode_images([photo, other])
    texts = [
        "is there a boat?",
        "what color is the big blue house under a yellow sun?",
        "boat",
    ] * 30
    picture = [0, 1, 1] * 30
    together = answerer.logits(regions, texts, picture)
    for i in range(3):
        alone = answerer.logits(regions[picture[i] : picture[i] + 1], [texts[i]])
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_alignment_and_blanks(answerer, photo):
    shares = answerer.aligned(photo, ["a red boat", "a blue house"])
    assert len(shares) == 2 and all(0 < share < 1 for share in shares)
    assert answerer.aligned(photo, []) == []
    with_photo = answerer.fill_mask(photo, "a [mask] boat")
    without = answerer.fill_mask(None, "a [MASK] boat")
    assert len(with_photo) == len(without) == 5 and with_photo != without
    assert all(a.text.isalnum() for a in with_photo)
    for caption in ("a red boat", "a [MASK] [MASK]"):
        with pytest.raises(UserError, match=r"Write \[MASK\] once"):
            answerer.fill_mask(photo, caption)


def test_a_hidden_region_is_guessed_without_being_looked_at(answerer, photo):
    found = answerer.expected_region(photo, 5, "a red boat")
    assert {a.text for a in found} == {"sky", "boat", "house"}
    assert sum(a.probability for a in found) == pytest.approx(1, abs=1e-5)
    regions = answerer.regions(photo)
    with torch.inference_mode():
        regions.features[0, 5] = 50.0  # the kept regions of this photo
    again = answerer.expected_region(photo, 5, "a red boat")
    assert [a.probability for a in again] == [a.probability for a in found]
    with pytest.raises(UserError, match="regions 0 to 15"):
        answerer.expected_region(photo, 16)


def test_an_explanation_fits_its_photo_and_question(answerer, photo):
    found = answerer.maps(photo, "is there a red boat?")
    best = answerer.answer(photo, "is there a red boat?", top_k=1)[0]
    assert found.answer.text == best.text
    assert found.answer.probability == pytest.approx(best.probability, abs=1e-5)
    assert found.words[0] == "[CLS]" and found.words[-1] == "[SEP]"
    assert found.boxes.shape == (16, 4) and found.grid == (4, 4)
    assert {m.layer for m in found.maps} == {"TRM", "Co-TRM"}
    assert found.relevance.words.shape == (len(found.words),)
    assert found.relevance.regions.shape == (17,)
    assert answerer.maps(photo, "is it?", answer="red").answer.text == "red"


def test_regions_of_a_photo_are_kept(answerer, photo, monkeypatch):
    first = answerer.regions(photo)
    monkeypatch.setattr(answerer, "_source", None)  # whatever is not kept would fail now
    assert answerer.regions(photo.copy()) is first
    with pytest.raises(TypeError):
        answerer.regions(Image.new("RGB", (50, 40)))


@pytest.mark.parametrize("question", ["", "   ", None, "\n"])
def test_an_empty_question_is_refused(answerer, photo, question):
    with pytest.raises(UserError, match="question is empty"):
        answerer.answer(photo, question)


@pytest.mark.parametrize("question", ["보트가 있나요?", "船はありますか", "🚤" * 50, "x" * 5000])
def test_any_script_and_any_length_is_answered(answerer, photo, question):
    assert len(answerer.answer(photo, question)) == 5


def test_odd_photos(answerer):
    for image in (Image.new("RGB", (1, 1)), Image.new("L", (3000, 2)), Image.new("RGBA", (9, 9))):
        assert answerer.answer(image, "what is it?")
    with pytest.raises(UserError, match="No picture was given"):
        answerer.answer(None, "what is it?")


def test_thirty_users_at_once_get_their_own_answers(answerer):
    photos = [Image.new("RGB", (32, 32), (8 * i, 255 - 8 * i, 90)) for i in range(30)]
    expected = [answerer.answer(photo, "what color is it?") for photo in photos]
    answerer._cache.clear()
    found: list = [None] * 30

    def ask(i: int) -> None:
        found[i] = answerer.answer(photos[i], "what color is it?")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, wanted in zip(found, expected, strict=True):
        assert [a.text for a in got] == [a.text for a in wanted]
        assert [a.probability for a in got] == pytest.approx([a.probability for a in wanted])


def test_a_loaded_model_answers_as_the_saved_one(folder, photo):
    first, second = vilbert.load(str(folder)), vilbert.load(str(folder))
    assert first.answer(photo, "is there a boat?") == second.answer(photo, "is there a boat?")
    assert first.fingerprint == second.fingerprint and first.languages == ("en", "ko")


def test_foreign_and_torn_checkpoints_are_refused(folder, tiny_folder, config):
    with pytest.raises(UserError, match="clip model where a vilbert model"):
        vilbert.load(str(tiny_folder))
    with pytest.raises(UserError, match="grid regions and cannot read those of a detector"):
        vilbert.load(str(folder), detector=folder / "detector.pth")
    tensors = checkpoint.load(folder).tensors
    other = {**vars(config), "answers": ("no", "yes")}
    text = (folder / "tokenizer.json").read_text("utf-8")
    body = {**other, "text": vars(config.text), "vision": vars(config.vision)}
    checkpoint.save(folder, "vilbert", body, tensors, tokenizer=text)
    with pytest.raises(UserError, match="do not fit their configuration"):
        vilbert.load(str(folder))


def test_an_upside_down_photo_is_put_upright(answerer):
    upright = Image.effect_noise((40, 40), 90).convert("RGB")
    stored, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 3
    upright.rotate(180).save(stored, "PNG", exif=exif)
    photo = open_image(stored.getvalue())
    assert answerer.answer(photo, "what?") == answerer.answer(upright, "what?")
