"""What ViLBERT learns by: what is hidden, and its losses, on cases by hand."""

import numpy as np
import pytest
import torch

from multimodal.text.encoder import TextConfig
from multimodal.text.tokenizer import MASK
from multimodal.training import vilbert_objective as training
from multimodal.training.masking import IGNORED, add_captions, hide_regions, hide_words
from multimodal.vilbert.config import VilbertConfig, VisionConfig
from multimodal.vilbert.model import Vilbert
from multimodal.vilbert.regions import giveaways, grid_boxes


def tiny_config(vocab_size, side=4):
    return VilbertConfig(
        text=TextConfig(vocab_size, width=32, layers=2, heads=2, hidden=64, max_tokens=96),
        vision=VisionConfig(width=32, layers=1, heads=2, hidden=64),
        co_text=(1, 2),
        co_vision=(1, 1),
        co_width=16,
        co_heads=2,
        fusion_width=32,
        dropout=0.0,
        image_tower="conv",
        image_width=4,
        image_size=32,
        rows=side,
        columns=side,
        region_features=32,
        concepts=("a", "b"),
        answers=("0", "1", "2", "3"),
    )


# --- what is hidden ----------------------------------------------------------------------------


def test_words_are_hidden_as_bert_hides_them():
    rng = np.random.default_rng(0)
    ids, mask = torch.full((400, 50), 9), torch.ones(400, 50, dtype=torch.bool)
    ids[:, 0], mask[:, 40:] = 2, False
    shown, targets = hide_words(ids, mask, 5, 4, 1000, rng)
    guessed = targets != IGNORED
    assert not guessed[:, 0].any() and not guessed[:, 40:].any()
    assert torch.equal(targets[guessed], ids[guessed])
    assert torch.equal(shown[~guessed], ids[~guessed])
    assert guessed[:, 1:40].float().mean() == pytest.approx(0.15, abs=0.01)
    masked, same = (shown[guessed] == 4).float().mean(), (shown[guessed] == 9).float().mean()
    assert masked == pytest.approx(0.8, abs=0.03) and same == pytest.approx(0.1, abs=0.02)


def test_hidden_regions_are_hidden_with_all_that_give_them_away():
    boxes = grid_boxes(8, 8)
    centres, near = (boxes[:, :2] + boxes[:, 2:4]) / 2, giveaways(boxes, "grid")
    mask, rng, whole = torch.ones(64, dtype=torch.bool), np.random.default_rng(0), 0
    for _ in range(200):
        seen, guessed = hide_regions(centres, near, mask, rng)
        assert guessed.sum() == 10  # 15 % of 64
        if seen.all():
            whole += 1
        else:
            assert not seen[near[guessed].any(0)].any() and seen.any()
    assert 8 <= whole <= 35  # one of ten
    nothing = torch.zeros(64, dtype=torch.bool)
    seen, guessed = hide_regions(centres, near, nothing, rng)
    assert not seen.any() and not guessed.any()


def test_a_caption_is_for_guessing_or_for_judging(tiny_tokenizer):
    boxes, batch = grid_boxes(4, 4)[None], {}
    ids = tiny_tokenizer.ids(["a big blue house under a yellow sun"] * 30)
    kinds = ["hidden", "fits", "not"] * 10
    add_captions(
        batch,
        tiny_tokenizer,
        ids,
        kinds,
        torch.zeros(30, dtype=torch.long),
        torch.ones(1, 16, dtype=torch.bool),
        boxes,
        giveaways(boxes[0], "grid")[None],
        np.random.default_rng(0),
    )
    hidden = torch.tensor([kind == "hidden" for kind in kinds])
    assert torch.equal(batch["judged"], ~hidden)
    assert batch["aligned"].tolist() == [kind != "not" for kind in kinds]
    assert (batch["words"][~hidden] == IGNORED).all() and (batch["words"] != IGNORED).any()
    assert batch["seen"][~hidden].all() and not batch["guessed"][~hidden].any()
    mask_id = tiny_tokenizer.vocab()[MASK]
    assert not (batch["caption_ids"][~hidden] == mask_id).any()


# --- losses ------------------------------------------------------------------------------------


def test_losses_on_cases_by_hand():
    logits = torch.zeros(2, 3)
    assert training.answer_loss(logits, torch.zeros(2, 3)).item() == pytest.approx(3 * 0.693147)
    soft = torch.tensor([[0.3, 1.0, 0.0]])
    best = torch.logit(soft, eps=1e-6)
    entropy = -(0.3 * np.log(0.3) + 0.7 * np.log(0.7))
    assert training.answer_loss(best, soft).item() == pytest.approx(entropy, abs=1e-4)
    assert training.word_loss(torch.zeros(2, 8), torch.tensor([1, 5])).item() == pytest.approx(
        np.log(8)
    )
    share = torch.tensor([[0.5, 0.25, 0.25]])
    assert training.region_loss(share.log(), share).item() == pytest.approx(0, abs=1e-6)
    expected = np.log(3) - 1.5 * np.log(2)  # the entropies of guessing and of knowing
    assert training.region_loss(torch.zeros(1, 3), share).item() == pytest.approx(expected)


def test_nothing_to_guess_costs_nothing():
    empty = torch.zeros(0, 5, requires_grad=True)
    for loss in (
        training.word_loss(empty, torch.zeros(0, dtype=torch.long)),
        training.region_loss(empty, torch.zeros(0, 5)),
        training.answer_loss(empty, torch.zeros(0, 5)),
        training.alignment_loss(empty[:, 0], torch.zeros(0)),
    ):
        assert loss.item() == 0
        loss.backward()


@pytest.fixture
def objective(tiny_tokenizer):
    torch.manual_seed(0)
    return training.VilbertObjective(Vilbert(tiny_config(tiny_tokenizer.vocab_size)))


def caption_batch(tiny_tokenizer, **changes):
    ids, mask = tiny_tokenizer(["a red boat", "a blue house", "the yellow sun"])
    words = torch.full_like(ids, IGNORED)
    words[:, 1] = ids[:, 1]
    torch.manual_seed(1)
    return {
        "features": torch.rand(2, 16, 32),
        "boxes": grid_boxes(4, 4).expand(2, -1, -1),
        "region_mask": torch.ones(2, 16, dtype=torch.bool),
        "caption_ids": ids,
        "caption_mask": mask,
        "caption_picture": torch.tensor([0, 1, 0]),
        "aligned": torch.tensor([True, True, False]),
        "judged": torch.tensor([True, False, True]),
        "words": words,
        "seen": torch.ones(3, 16, dtype=torch.bool),
        "guessed": torch.eye(16, dtype=torch.bool)[:3],
        "concepts": torch.full((2, 16, 2), 0.5),
        **changes,
    }


def test_masked_losses_do_not_count_on_a_mismatched_pair(objective, tiny_tokenizer):
    batch = caption_batch(tiny_tokenizer)
    _, before = objective(batch)
    batch["words"][2], batch["guessed"][2] = 7, True  # the third caption does not fit
    _, after = objective(batch)
    assert after["words"] == before["words"] and after["regions"] == before["regions"]
    batch["words"][0, 2] = 7
    assert objective(batch)[1]["words"] != before["words"]


def test_captions_with_nothing_hidden_and_with_everything_hidden(objective, tiny_tokenizer):
    none = torch.zeros(3, 16, dtype=torch.bool)
    batch = caption_batch(tiny_tokenizer, guessed=none)
    batch["words"][:] = IGNORED
    total, parts = objective(batch)
    assert parts["words"] == 0 and parts["regions"] == 0 and torch.isfinite(total)
    batch = caption_batch(tiny_tokenizer, guessed=~none, seen=none)
    batch["words"] = batch["caption_ids"]
    total, parts = objective(batch)
    total.backward()
    assert torch.isfinite(total) and parts["regions"] > 0
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)


def question_batch(tiny_tokenizer):
    """Eight questions, the last two of them without a picture."""
    torch.manual_seed(0)
    ids, mask = tiny_tokenizer(["a red boat", "a blue house"] * 4)
    return {
        "features": torch.rand(4, 16, 32),
        "boxes": grid_boxes(4, 4).expand(4, -1, -1),
        "region_mask": torch.ones(4, 16, dtype=torch.bool),
        "question_ids": ids,
        "question_mask": mask,
        "question_picture": torch.tensor([0, 0, 1, 1, 2, 2, -1, -1]),
        "question_targets": torch.eye(4)[[0, 1, 2, 3, 1, 0, 3, 2]],
    }


def test_questions_without_a_picture_read_no_regions(objective, tiny_tokenizer):
    batch, seen = question_batch(tiny_tokenizer), []
    objective.model.register_forward_hook(lambda model, given, out: seen.append(given[2].shape[1]))
    together, _ = objective(batch)
    objective.rows = 2
    apart, _ = objective(batch)
    assert seen == [16, 16, 16, 16, 0]
    assert apart.item() == pytest.approx(together.item(), rel=1e-5)


def test_it_learns_a_handful_of_questions_by_heart(objective, tiny_tokenizer):
    batch = question_batch(tiny_tokenizer)
    optimizer = torch.optim.AdamW(objective.parameters(), 3e-3)
    for _ in range(300):
        loss, _ = objective(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_questions_share_passes_by_what_there_is_to_read():
    """Grouping changes no loss: photos, a picture of one region, and none at all."""
    torch.manual_seed(0)
    mask = torch.tensor([[True] * 4, [True, False, False, False], [False, True, True, False]])
    ids = torch.randint(5, 50, (9, 6))
    batch = {
        "features": torch.rand(3, 4, 32),
        "boxes": torch.rand(3, 4, 5),
        "region_mask": mask,
        "question_ids": ids,
        "question_mask": torch.arange(6) < torch.tensor([6, 3, 5, 2, 6, 4, 6, 5, 2])[:, None],
        "question_picture": torch.tensor([0, 1, -1, 2, 0, 1, -1, 2, 0]),
        "question_targets": torch.rand(9, 4),
    }
    model = Vilbert(tiny_config(50, side=2)).eval()
    with torch.no_grad():
        split, whole = (training.VilbertObjective(model, rows=n)(batch)[0] for n in (2, 9))
        alone = [
            training.VilbertObjective(model)(
                {**batch, **{k: batch[k][i : i + 1] for k in batch if k[0] == "q"}}
            )[0]
            for i in range(9)
        ]
    assert torch.allclose(split, whole, rtol=1e-5)
    assert torch.allclose(torch.stack(alone).mean(), whole, rtol=1e-5)
