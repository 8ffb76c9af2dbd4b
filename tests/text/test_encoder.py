import pytest
import torch

from multimodal.errors import UserError
from multimodal.text.encoder import TextConfig, TextEncoder, load_bert, mean_pool

CONFIG = TextConfig(vocab_size=50, width=16, layers=2, heads=4, hidden=32, max_tokens=12)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return TextEncoder(CONFIG).eval()


def bert_names(encoder: TextEncoder) -> dict[str, torch.Tensor]:
    """The encoder's weights under the names that a BERT has for them."""
    own, bert = encoder.state_dict(), {}
    bert["embeddings.word_embeddings.weight"] = own["words.weight"]
    bert["embeddings.position_embeddings.weight"] = own["positions.weight"]
    bert["embeddings.token_type_embeddings.weight"] = torch.zeros(2, CONFIG.width)
    for kind in ("weight", "bias"):
        bert[f"embeddings.LayerNorm.{kind}"] = own[f"norm.{kind}"]
        for i in range(CONFIG.layers):
            for theirs, ours in {
                "attention.self.query": "attention.query",
                "attention.self.key": "attention.key",
                "attention.self.value": "attention.value",
                "attention.output.dense": "attention.output",
                "attention.output.LayerNorm": "attention_norm",
                "intermediate.dense": "expand",
                "output.dense": "contract",
                "output.LayerNorm": "output_norm",
            }.items():
                bert[f"encoder.layer.{i}.{theirs}.{kind}"] = own[f"blocks.{i}.{ours}.{kind}"]
    return bert


def test_padding_changes_nothing(encoder):
    ids = torch.tensor([[1, 2, 3]])
    short = encoder(ids, torch.ones(1, 3, dtype=torch.bool))
    padded_ids = torch.tensor([[1, 2, 3, 9, 9]])
    mask = torch.tensor([[True, True, True, False, False]])
    long = encoder(padded_ids, mask)[:, :3]
    assert torch.allclose(short, long, atol=1e-5)
    pooled = mean_pool(encoder(padded_ids, mask), mask)
    assert torch.allclose(pooled, short.mean(1), atol=1e-5)


def test_maps_sum_to_one_ignore_padding_and_leave_the_result_alone(encoder):
    ids, mask = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[True, True, True, False]])
    plain = encoder(ids, mask)
    mixed, maps = encoder(ids, mask, return_maps=True)
    assert len(maps) == CONFIG.layers
    assert maps[0].shape == (1, CONFIG.heads, 4, 4)
    assert torch.allclose(maps[0].sum(-1), torch.ones(1, CONFIG.heads, 4))
    assert maps[0][..., 3].abs().max() == 0
    assert torch.allclose(plain[:, :3], mixed[:, :3], atol=1e-5)


def test_bert_weights_load_by_name(encoder):
    other = TextEncoder(CONFIG).eval()
    load_bert(other, bert_names(encoder))
    ids, mask = torch.tensor([[1, 2, 3]]), torch.ones(1, 3, dtype=torch.bool)
    assert torch.equal(other(ids, mask), encoder(ids, mask))


def test_rows_pick_from_the_table_and_leave_new_pieces_fresh(encoder):
    small = TextEncoder(TextConfig(**{**vars(CONFIG), "vocab_size": 3})).eval()
    load_bert(small, bert_names(encoder), torch.tensor([7, -1, 2]))
    table = encoder.words.weight
    assert torch.equal(small.words.weight[0], table[7])
    assert torch.equal(small.words.weight[2], table[2])
    assert not (small.words.weight[1] == table).all(1).any()


def test_a_missing_weight_is_named(encoder):
    tensors = bert_names(encoder)
    del tensors["encoder.layer.1.attention.self.key.bias"]
    with pytest.raises(UserError, match=r"blocks\.1\.attention\.key\.bias"):
        load_bert(TextEncoder(CONFIG), tensors)


def test_config_names_the_wrong_field():
    with pytest.raises(UserError, match=r"text\.heads"):
        TextConfig(width=10, heads=3)
    with pytest.raises(UserError, match=r"text\.layers"):
        TextConfig(layers=0)
