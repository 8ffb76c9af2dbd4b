"""Tokens that are pairs: a shape and its colour, counted through as shape x colours + colour."""

from collections.abc import Sequence

from torch import Tensor


def split(ids: Tensor, colours: int) -> list[Tensor]:
    """Rows of the codebook, or of both.

    Args:
        ids: Tokens of any shape.
        colours: Size of the codebook of colours; 0 where there is one codebook.
    """
    return [ids // colours, ids % colours] if colours else [ids]


def join(rows: Sequence[Tensor], colours: int) -> Tensor:
    """The tokens of rows as `split` gives them."""
    return rows[0] * colours + rows[1] if colours else rows[0]
