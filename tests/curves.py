"""What trainings log, for tests."""

import json
from pathlib import Path


def curve(out: Path) -> list[dict[str, float]]:
    """The figures of every step of a training in `out`."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
