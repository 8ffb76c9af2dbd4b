import open_clip
import torch
from torch.nn import functional as F

from multimodal.training import objective as objective_module
from multimodal.training.objective import ClipObjective, contrastive_loss


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def test_without_memory_it_is_open_clips_loss():
    torch.manual_seed(0)
    images, captions, scale = unit(6, 8), unit(6, 8), torch.tensor(14.0)
    expected = open_clip.ClipLoss()(images, captions, scale)
    got = contrastive_loss(images, captions, scale, torch.arange(6))
    assert torch.allclose(got, expected, atol=1e-5)


def test_an_empty_memory_changes_nothing_and_a_full_one_is_harder():
    torch.manual_seed(0)
    images, captions, scale = unit(4, 8), unit(4, 8), torch.tensor(14.0)
    photo = torch.arange(4)
    alone = contrastive_loss(images, captions, scale, photo)
    empty = (torch.zeros(5, 8), torch.zeros(5, 8), torch.full((5,), -1))
    assert torch.allclose(contrastive_loss(images, captions, scale, photo, empty), alone)
    full = (unit(5, 8), unit(5, 8), torch.arange(10, 15))
    assert contrastive_loss(images, captions, scale, photo, full) > alone
    same = (*full[:2], torch.tensor([0, 1, 2, 3, 0]))  # each row's own photo is no negative
    assert contrastive_loss(images, captions, scale, photo, same) < contrastive_loss(
        images, captions, scale, photo, full
    )


def test_two_captions_of_one_photo_are_not_negatives():
    torch.manual_seed(0)
    image, captions, scale = unit(1, 8).repeat(2, 1), unit(2, 8), torch.tensor(14.0)
    assert contrastive_loss(image, captions, scale, torch.tensor([3, 3])).abs() < 1e-6


def make_batch(tokenizer, pictures=4):
    batch = {
        "pixels": torch.randint(0, 256, (pictures, 3, 32, 32), dtype=torch.uint8),
        "photo": torch.arange(pictures),
        "rows_kinds": torch.tensor([0, 2]),
        "target_kinds": torch.tensor([[1.0, 0.0], [0.5, 0.5]]),
        "concept_row": torch.tensor([0, 1]),
        "concept_language": torch.tensor([0, 1]),
    }
    batch["caption_ids"], batch["caption_mask"] = tokenizer(["a red boat", "cat", "sun", "집"])
    batch["concept_ids"], batch["concept_mask"] = tokenizer(["boat", "고양이"])
    return batch


def test_fresh_names_enter_the_bank_and_memory_fills(tiny_encoder, tiny_tokenizer):
    objective = ClipObjective(tiny_encoder, {"kinds": [0, 1]}, 2, memory=6)
    loss, parts = objective(make_batch(tiny_tokenizer))
    assert set(parts) == {"captions", "kinds", "translation"}
    assert torch.isfinite(loss)
    assert objective.bank[0, 0].norm() > 0.99 and objective.bank[0, 1].norm() == 0
    assert objective.memory_photo.tolist() == [0, 1, 2, 3, -1, -1]
    loss.backward()
    assert tiny_encoder.text_tower.words.weight.grad.abs().sum() > 0


def test_weights_scale_their_loss(tiny_encoder, tiny_tokenizer):
    batch = make_batch(tiny_tokenizer)
    one = ClipObjective(tiny_encoder, {"kinds": [0, 1]}, 2)
    two = ClipObjective(tiny_encoder, {"kinds": [0, 1]}, 2, weights={"kinds": 3.0})
    loss, parts = one(batch)
    heavier, _ = two(batch)
    assert torch.allclose(heavier - loss, 2 * parts["kinds"], atol=1e-5)


def test_texts_of_like_length_share_a_pass_and_come_back_in_order(
    tiny_encoder, tiny_tokenizer, monkeypatch
):
    tiny_encoder.eval()
    texts = ["a photo of a red boat", "cat", "the cat sits on the green chair", "sun", "빨간 배"]
    batch = dict(zip(("caption_ids", "caption_mask"), tiny_tokenizer(texts), strict=True))
    whole = tiny_encoder.encode_tokens(*batch.values())
    monkeypatch.setattr(objective_module, "TEXT_ROWS", 2)
    parts = ClipObjective(tiny_encoder, {"kinds": [0]}, 1)._texts(batch, "caption")
    assert torch.allclose(parts, whole, atol=1e-5)


def test_followers_reach_word_rows_and_nothing_else(tiny_encoder, tiny_tokenizer):
    objective = ClipObjective(tiny_encoder, {"kinds": [0, 1]}, 2, followers=True)
    ids, mask = tiny_tokenizer(["고양이", "배"])
    objective._follow(ids, mask)[:, 0].sum().backward()
    reached = {name for name, p in tiny_encoder.named_parameters() if p.grad is not None}
    assert reached == {"text_tower.words.weight"}
