"""The command `data`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from multimodal.cli.common import Folder
from multimodal.terminal import show


@dataclass(frozen=True)
class Data:
    """Get a data set from its official addresses: resumes, verifies, unpacks.

    Attributes:
        action: What to do.
        name: Which data set.
        out: The data folder; give the same one to train as --data.
    """

    action: Annotated[Positional[Literal["fetch"]], tyro.conf.arg(metavar="{fetch}")]
    name: Annotated[
        Positional[Literal["coco", "flickr8k", "tiny-imagenet"]],
        tyro.conf.arg(metavar="{coco,flickr8k,tiny-imagenet}"),
    ]
    out: Folder = Path("data")

    def run(self) -> int:
        """Downloads with a progress bar."""
        from multimodal.data.fetch import ARCHIVES, SETS, fetch

        data_set = SETS[self.name]
        print(f"{self.name}: {data_set.terms}")
        show(fetch(self.name, self.out), unit="B")
        folder = self.out / data_set.folder
        print(
            f"Ready in {folder}; {folder / ARCHIVES} is no longer needed and may be emptied of "
            "its zip files."
        )
        return 0
