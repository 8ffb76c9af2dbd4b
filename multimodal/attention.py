"""Scaled dot-product attention (Vaswani et al. 2017, eq. 1), which all transformers here share."""

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor | None = None,
    maps: list[Tensor] | None = None,
) -> Tensor:
    """Mixes values by how well their keys fit the queries: softmax(q k / sqrt(size)) v.

    Args:
        query: (batch, heads, queries, size).
        key, value: (batch, heads, keys, size).
        visible: Bool, broadcast to (batch, heads, queries, keys); False hides a key from a query.
            Every query sees at least one key. None: causal; the last query sees all keys, and
            each query before it one less.
        maps: If a list, the attention map (batch, heads, queries, keys) is appended to it.

    Returns:
        (batch, heads, queries, size).
    """
    # in bf16 on a CPU the fused form goes backward many times slower than the plain one
    slow = query.dtype == torch.bfloat16 and query.device.type == "cpu" and torch.is_grad_enabled()
    queries, keys = query.shape[2], key.shape[2]
    if maps is None and not slow and visible is None and queries == keys:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    if visible is None:
        visible = torch.ones(queries, keys, dtype=torch.bool, device=query.device)
        visible = visible.tril(keys - queries)
    if maps is None and not slow:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    if maps is not None:
        maps.append(weights)
    return weights @ value
