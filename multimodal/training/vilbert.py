"""ViLBERT by recipe: the way to the task of each world."""

from multimodal.training.run import Inputs
from multimodal.training.vilbert_photos import PhotoSettings, PhotoTask
from multimodal.training.vilbert_toybox import Lesson, ToyboxSettings, ToyboxTask
from multimodal.vilbert.config import VilbertConfig


def task(recipe: dict, inputs: Inputs, seed: int) -> PhotoTask | ToyboxTask:
    """What a ViLBERT learns; arguments as in `run.train`.

    Raises:
        UserError: if the recipe, the data or a start is missing.
    """
    config, values = VilbertConfig.from_dict(recipe.get("model", {})), recipe.get("task", {})
    if inputs.init:
        values = {**values, "init": inputs.init}
    if recipe["world"] == "toybox":
        lessons = tuple(
            Lesson(**{**lesson, "forms": tuple(lesson.get("forms", ()))})
            for lesson in values.get("lessons", ())
        )
        toybox = ToyboxSettings(**{**values, "lessons": lessons})
        return ToyboxTask(toybox, config, seed, inputs.written_tokenizer)
    # without a BERT of its own the language stream starts from the text tower of the CLIP
    photos = PhotoSettings(**values)
    return PhotoTask(photos, config, inputs.photos, inputs.kept, inputs.text_start, seed)
