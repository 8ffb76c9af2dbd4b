"""Recipes: TOML files that say what a training learns from, its model and its schedule."""

import tomllib
from pathlib import Path

from multimodal import checkpoint
from multimodal.training.loop import TrainingError
from multimodal.training.teacher import IMAGE_START

#: Family of models to the module of this package that trains it.
MODULES = {
    "clip": "clip",
    "vqvae": "vqvae",
    "dalle": "dalle",
    "vilbert": "vilbert",
    "judge": "judge_toybox",
}
RECIPES = Path(__file__).parent / "recipes"


def recipes(family: str) -> list[str]:
    """Names of the recipes of one family."""
    return sorted(file.stem.removeprefix(f"{family}-") for file in RECIPES.glob(f"{family}-*.toml"))


def read_recipe(family: str, name: str) -> dict:
    """A recipe by name, or from a TOML file of the user's own.

    Raises:
        TrainingError: if there is none of that name or it is not TOML.
    """
    file = Path(name) if name.endswith(".toml") else RECIPES / f"{family}-{name}.toml"
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise TrainingError(
            f"There is no recipe {name!r} for {family}; there are {', '.join(recipes(family))}."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{file} is not valid TOML: {error}.") from error


def need_data(data: Path | None) -> Path:
    """The data folder.

    Raises:
        TrainingError: if none was given.
    """
    if data is None:
        raise TrainingError("The photo recipes need the data sets: give their folder as --data.")
    return Path(data)


def image_start(given: Path | None, data: Path) -> Path | None:
    """The file of the pixel start: the one given, one that lies with the data, or None."""
    beside = Path(data) / "teachers" / IMAGE_START
    return given or (beside if beside.is_file() else None)


def written_tokenizer(out: Path, resume: bool) -> Path | None:
    """The tokenizer of the run that is resumed, None at the start of a run.

    Word pieces that are learned twice from the same texts may be numbered differently, so a
    resumed run must not learn them again.
    """
    file = Path(out) / "model" / checkpoint.TOKENIZER
    return file if resume and file.is_file() else None
