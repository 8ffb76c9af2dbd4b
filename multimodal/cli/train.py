"""The command `train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from multimodal.cli.common import OPTIONAL, Name, SomeFile, SomeFolder
from multimodal.terminal import show


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe; a stopped training goes on with --resume.

    Attributes:
        family: Which kind of model.
        recipe: Name of a recipe in multimodal/training/recipes, or a TOML file of your own.
        data: Folder of the data sets; the toybox needs none.
        out: Working folder; the model ends in its model/.
        resume: Go on where a stopped or killed training was.
        init: Checkpoint to go on from, in place of the recipe's own start.
        image_start: MobileNetV2 weights to start the image tower from.
        text_start: Folder of the BERT to start the text tower from.
        cache: Where decoded photos are kept; beside --out if not given.
    """

    family: Annotated[
        Positional[Literal["clip", "vqvae", "dalle", "vilbert", "judge"]],
        tyro.conf.arg(metavar="{clip,vqvae,dalle,vilbert,judge}"),
    ]
    recipe: Name
    data: SomeFolder = None
    out: SomeFolder = None
    resume: bool = False
    init: Annotated[str, tyro.conf.arg(metavar="NAME_OR_DIR", help_behavior_hint=OPTIONAL)] = ""
    image_start: SomeFile = None
    text_start: SomeFolder = None
    cache: SomeFolder = None

    def run(self) -> int:
        """Trains, with a progress bar."""
        from multimodal.training.recipe import read_recipe
        from multimodal.training.run import Inputs, train

        inputs = Inputs(
            self.out or Path("runs") / f"{self.family}-{Path(self.recipe).stem}",
            self.data,
            self.resume,
            self.init,
            self.image_start,
            self.text_start,
            self.cache,
        )
        show(train(self.family, read_recipe(self.family, self.recipe), inputs))
        return 0
