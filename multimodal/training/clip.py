"""CLIP models by recipe: the way to the task of each world."""

from multimodal.clip.model import ClipConfig
from multimodal.training.clip_photos import PhotoSettings, PhotoTask
from multimodal.training.clip_toybox import ToyboxSettings, ToyboxTask
from multimodal.training.run import Inputs


def task(recipe: dict, inputs: Inputs, seed: int) -> PhotoTask | ToyboxTask:
    """What a CLIP learns; arguments as in `run.train`.

    Raises:
        UserError: if the recipe, the data or a start is missing.
    """
    config, values = ClipConfig.from_dict(recipe.get("model", {})), recipe.get("task", {})
    if recipe["world"] == "toybox":
        return ToyboxTask(ToyboxSettings(**values), config, seed, inputs.written_tokenizer)
    if inputs.init:
        values = {**values, "init": inputs.init}
    return PhotoTask(
        PhotoSettings(**values),
        config,
        inputs.photos,
        inputs.kept,
        inputs.pixel_start,
        inputs.word_start,
        seed,
        inputs.written_tokenizer,
    )
