import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal import checkpoint, dalle
from multimodal.dalle.explain import alternatives, codebooks, explain
from multimodal.dalle.export import describe, file_name, save_png
from multimodal.dalle.pipeline import TextToImage
from multimodal.errors import UserError


def finished(drawings):
    *_, last = drawings
    return last


def test_pictures_grow_row_by_row(drawer):
    rows = list(drawer.generate("a red boat", 2, 7))
    assert [d.rows for d in rows] == [1, 2, 3, 4, 5, 6]
    assert [d.done for d in rows] == [False] * 5 + [True]
    assert all(len(d.images) == 2 and d.images[0].size == (24, 24) for d in rows)
    assert rows[-1].seeds == (7, 8) and int(rows[-1].ids.min()) >= 0
    early, late = np.asarray(rows[0].images[0]), np.asarray(rows[-1].images[0])
    assert (early[4:, :, 0] == early[4:, :, 1]).all()  # grey hatching where nothing is drawn
    assert not (late[4:, :, 0] == late[4:, :, 1]).all()


def test_the_same_seed_gives_the_same_picture_alone_or_in_company(drawer):
    many = finished(drawer.generate("a red boat", 4, 3))
    again = finished(drawer.generate("a red boat", 4, 3))
    alone = finished(drawer.generate("a red boat", 1, 5))
    assert torch.equal(many.ids, again.ids)
    assert torch.equal(many.ids[2], alone.ids[0])
    assert not torch.equal(many.ids[0], many.ids[1])


def test_several_prompts_in_one_batch_equal_one_by_one(drawer):
    together = drawer.draw_each(["a red boat", "a blue house"], 4)
    for i, prompt in enumerate(["a red boat", "a blue house"]):
        assert torch.equal(together.ids[i], finished(drawer.generate(prompt, 1, 4 + i)).ids[0])


def test_streaming_draws_the_same_as_a_plain_loop_without_a_cache(drawer):
    """The reference: the whole stream is computed anew for every token."""
    settings = {"guidance_scale": 2.0, "temperature": 0.8, "top_k": 5, "top_p": 0.9}
    drawn = finished(drawer.generate("a red boat", 1, 11, **settings)).ids.flatten()
    generator, ids = torch.Generator().manual_seed(11), torch.zeros(1, 0, dtype=torch.long)
    text = drawer.captions(["a red boat", ""])
    from multimodal.dalle.sampling import draw, guide, shape

    colours = drawer.config.colours

    def drawn_from(logits):
        return draw(shape(guide(*logits.split(1), 2.0), 0.8, 5, 0.9), [generator])

    with torch.no_grad():
        for _ in range(36):
            last = drawer.dalle.read(text, ids.expand(2, -1))[1][:, -1]
            token = drawn_from(drawer.dalle.image_head(last))
            if colours:
                logits = drawer.dalle.colour_logits(last, token.expand(2))
                token = token * colours + drawn_from(logits)
            ids = torch.cat([ids, token[:, None]], 1)
    assert torch.equal(ids[0], drawn)


def test_stop_ends_within_a_row(drawer):
    stop, seen = threading.Event(), []
    for drawing in drawer.generate("a red boat", 2, stop=stop):
        seen.append(drawing)
        if drawing.rows == 2:
            stop.set()
    assert len(seen) == 2 and not seen[-1].done


def test_the_top_rows_of_a_picture_are_kept(drawer, tokenizer):
    picture = Image.new("RGB", (40, 30), (30, 80, 200))
    drawn = finished(drawer.generate("a red boat", 2, 1, picture=picture, rows=2))
    own = tokenizer.encode([picture])[0]
    assert torch.equal(drawn.ids[0, :2], own[:2]) and torch.equal(drawn.ids[1, :2], own[:2])
    whole = list(drawer.generate("", 1, picture=picture, rows=6))
    assert len(whole) == 1 and whole[0].done and torch.equal(whole[0].ids[0], own)


def test_no_prompt_draws_without_one(drawer):
    drawn = finished(drawer.generate("", 1, 3))
    plain = finished(drawer.generate("", 1, 3, guidance_scale=1.0))
    assert torch.equal(drawn.ids, plain.ids)  # nothing to exaggerate


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": 0}, {"images": 99}, {"temperature": -1}, {"top_k": -2}, {"top_p": 1.5},
        {"guidance_scale": -3}, {"rows": 7}, {"temperature": float("nan")},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(drawer, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        next(drawer.generate("a boat", **wrong))


@pytest.mark.parametrize("prompt", ["boat " * 2000, "🚤", "\x00\x1b[31m", "القارب", "\ud800"])
def test_odd_prompts_are_drawn(drawer, prompt):
    assert finished(drawer.generate(prompt, 1)).done


def test_an_explanation_agrees_with_what_was_drawn(drawer):
    drawn = finished(drawer.generate("a red boat", 1, 2, top_k=4))
    told = explain(drawer, "a red boat", drawn.ids[0], drawn.settings, k=16)
    assert told.pieces == ["a", "red", "boat"]
    assert torch.allclose(told.words.sum(1), torch.ones(36), atol=1e-5)
    assert (told.chance > 0).all()  # nothing was drawn that could not be
    # four were allowed, or four shapes in four colours
    assert torch.allclose(told.chances.sum(1), torch.ones(36), atol=1e-5)
    own = told.codes == drawn.ids[0].flatten()[:, None]
    assert own.any(1).all()
    assert torch.allclose((told.chances * own).sum(1), told.chance, atol=1e-5)


def test_the_codebook_is_patches(drawer):
    books = codebooks(drawer.tokenizer)
    colours = drawer.tokenizer.colours
    sizes = {"shapes": 5, "colours": 4} if colours else {"codes": 20}
    assert {book.name: len(book.patches) for book in books} == sizes
    for book in books:
        assert book.patches[0].size == (4, 4) and book.usage.shape == (len(book.patches),)
        assert float(book.usage.sum()) == pytest.approx(1, abs=1e-5)


def test_patches_show_what_another_code_changes(drawer):
    ids = finished(drawer.generate("", 1)).ids[0]
    codes = ids.flatten()[:, None].repeat(1, 2)
    codes[:, 1] = (codes[:, 1] + 1) % drawer.tokenizer.codes
    patches = alternatives(drawer.tokenizer, ids, codes)
    assert len(patches) == 72 and all(patch.size == (12, 12) for patch in patches)
    assert all(np.asarray(a).tolist() != np.asarray(b).tolist() for a, b in _pairs(patches))
    whole = drawer.tokenizer.decode(ids[None])[0].crop((0, 0, 12, 12))
    difference = np.abs(np.asarray(whole, np.float32) - np.asarray(patches[0], np.float32))
    assert difference.mean() < 4  # of 255: cells farther away hardly matter


def _pairs(items):
    return zip(items[::2], items[1::2], strict=True)


def test_a_png_tells_how_it_was_drawn(drawer, tmp_path):
    drawn = finished(drawer.generate("빨간 배", 2, 5, temperature=0.5))
    file = tmp_path / file_name("빨간 배/../x", 6)
    save_png(drawn, 1, file, "빨간 배", "tiny")
    told = json.loads(Image.open(file).text["multimodal"])
    assert told == describe(drawn, 1, "빨간 배", "tiny")
    assert told["seed"] == 6 and told["temperature"] == 0.5 and told["prompt"] == "빨간 배"
    again = finished(drawer.generate(told["prompt"], 1, told["seed"], temperature=0.5))
    assert np.array_equal(np.asarray(again.images[0]), np.asarray(Image.open(file)))


def test_a_picture_that_cannot_be_written_says_so(drawer, tmp_path):
    drawn = finished(drawer.generate("a boat", 1))
    with pytest.raises(UserError, match="cannot be written"):
        save_png(drawn, 0, tmp_path / "missing" / "a.png", "a boat", "tiny")


def save_pair(drawer, folder):
    tokenizer = drawer.tokenizer
    vqvae = tokenizer.vqvae
    checkpoint.save(folder / "vq", "vqvae", vqvae.config, vqvae.state_dict(), half=False)
    config = {**vars(drawer.config), "image_tokenizer": "vq", "fingerprint": tokenizer.fingerprint}
    checkpoint.save(
        folder / "da", "dalle", config, drawer.dalle.state_dict(),
        tokenizer=drawer.captions.to_json(), half=False,
    )  # fmt: skip


def test_a_saved_pair_draws_the_same(drawer, tmp_path):
    save_pair(drawer, tmp_path)
    loaded = dalle.load(tmp_path / "da")
    before, after = (finished(m.generate("a red boat", 1, 9)) for m in (drawer, loaded))
    assert torch.equal(before.ids, after.ids)


def test_another_image_tokenizer_is_refused(drawer, tmp_path):
    save_pair(drawer, tmp_path)
    weights = {k: v + 0.01 for k, v in drawer.tokenizer.vqvae.state_dict().items()}
    checkpoint.save(tmp_path / "vq", "vqvae", drawer.tokenizer.vqvae.config, weights)
    with pytest.raises(UserError, match="another"):
        TextToImage.load(tmp_path / "da")


def test_a_decoder_that_learned_on_is_taken(drawer, tmp_path):
    save_pair(drawer, tmp_path)
    before = drawer.tokenizer.vqvae
    weights = {
        k: v + 0.01 if k.startswith("decoder.") and v.is_floating_point() else v
        for k, v in before.state_dict().items()
    }
    checkpoint.save(tmp_path / "vq", "vqvae", before.config, weights, half=False)
    loaded = TextToImage.load(tmp_path / "da")
    drawn = [finished(model.generate("a red boat", 1, 9)) for model in (drawer, loaded)]
    assert torch.equal(drawn[0].ids, drawn[1].ids)
    assert drawn[0].images[0].tobytes() != drawn[1].images[0].tobytes()
