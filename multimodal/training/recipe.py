"""Recipes: TOML files that say what a training learns from, its model and its schedule."""

import tomllib
from pathlib import Path

from multimodal.training.loop import TrainingError

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
