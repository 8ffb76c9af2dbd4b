"""What anything slow yields while it works, so that every bar and Stop button can feed on it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report of a slow job.

    Attributes:
        done: Units finished so far.
        total: Units in all, or None where that is not known.
        note: What is being done, in a few words.
        rate: Units per second, or None before it can be told.
    """

    done: int
    total: int | None = None
    note: str = ""
    rate: float | None = None


def drain(reports: Iterable) -> None:
    """Lets a slow job run to its end where nobody watches."""
    for _ in reports:
        pass
