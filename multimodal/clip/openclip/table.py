"""What OpenCLIP knows by name: architectures, pretrained tags, and how each was trained.

Menus need this before anything heavy is loaded, and `import open_clip` takes torch with it, so the
installed package's own files are read: the JSON configurations, and the table of pretrained tags.
"""

import ast
import copy
import difflib
import functools
import importlib
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multimodal.errors import UserError

PREPROCESS = ("mean", "std", "interpolation", "resize_mode")
QUICK = "-quickgelu"  # ending of the architectures with QuickGELU

Config = dict[str, Any]


class OpenClipError(UserError):
    """An OpenCLIP model is unknown or its configuration cannot be used."""


@functools.cache
def tags() -> dict[str, dict[str, Config]]:
    """Architecture to tag to ``hf_hub``, preprocessing and ``quick_gelu``, in OpenCLIP's order."""
    if "open_clip" in sys.modules:
        return sys.modules["open_clip"].pretrained._PRETRAINED
    namespace: dict[str, Any] = {}
    try:
        for name in ("constants.py", "pretrained.py"):
            path = _package() / name
            tree = ast.parse(path.read_text("utf-8"))
            # the module's own light part: without its imports of torch and of its neighbours
            tree.body = [node for node in tree.body if not _heavy(node)]
            exec(compile(tree, str(path), "exec"), namespace)
        return namespace["_PRETRAINED"]
    except (NameError, KeyError, OSError):  # a later version may lay it out in another way
        return importlib.import_module("open_clip.pretrained")._PRETRAINED


@functools.cache
def architectures() -> dict[str, Config]:
    """Architecture to OpenCLIP's configuration of it; not to be changed."""
    found = {}
    for path in sorted((_package() / "model_configs").glob("*.json")):
        config = json.loads(path.read_text("utf-8"))
        if {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
            found[path.stem] = config
    return found


@dataclass(frozen=True)
class Tag:
    """A pretrained tag of an architecture.

    Attributes:
        arch: Architecture, as OpenCLIP spells it.
        tag: Name of the training run, as OpenCLIP spells it.
    """

    arch: str
    tag: str

    @property
    def name(self) -> str:
        """What `multimodal.clip.load` takes."""
        return f"openclip:{self.arch}/{self.tag}"

    @property
    def repo(self) -> str:
        """Repository on the hub, ``owner/name``."""
        return os.path.split(tags()[self.arch][self.tag]["hf_hub"])[0]

    @property
    def pickle(self) -> str:
        """Name of its pickle file, the only one that some publishers offer."""
        return os.path.split(tags()[self.arch][self.tag]["hf_hub"])[1] or (
            "open_clip_pytorch_model.bin"
        )

    @property
    def weights(self) -> str:
        """Name of its safetensors file, by the rule of OpenCLIP's own loader."""
        if self.pickle == "open_clip_pytorch_model.bin":
            return "open_clip_model.safetensors"
        return str(Path(self.pickle).with_suffix(".safetensors"))

    @property
    def preprocess(self) -> Config:
        """Mean, deviation, interpolation and resize mode that it was trained with."""
        return {key: tags()[self.arch][self.tag][key] for key in PREPROCESS}

    @property
    def quick_gelu(self) -> bool:
        """Whether it was trained with QuickGELU, x * sigmoid(1.702 x), in place of GELU."""
        if tags()[self.arch][self.tag].get("quick_gelu"):
            return True
        # one architecture (roberta) has it without saying so in its tag
        config = architectures()[self.arch]
        return bool(config.get("quick_gelu")) and not self.arch.endswith(QUICK)

    def config(self) -> Config:
        """The architecture's configuration with the activation that the tag was trained with."""
        config = copy.deepcopy(architectures()[self.arch])
        config["quick_gelu"] = self.quick_gelu
        return config


def all_tags() -> list[Tag]:
    """Every architecture and tag once; ``-quickgelu`` names are second names of the same runs."""
    return [
        Tag(arch, tag)
        for arch, runs in tags().items()
        for tag in runs
        if not (arch.endswith(QUICK) and tag in tags().get(arch.removesuffix(QUICK), ()))
    ]


def tags_of_repository(folder: str) -> list[Tag]:
    """The tags whose repository has this name, without its owner."""
    return [tag for tag in all_tags() if tag.repo.rpartition("/")[2].lower() == folder.lower()]


def find_tag(arch: str, tag: str) -> Tag | None:
    """Looks a pair up, as tolerant in spelling as OpenCLIP is.

    Raises:
        OpenClipError: if the pair asks for QuickGELU where the run was trained without.
    """
    arch, tag = arch.replace("/", "-"), tag.lower().replace("-", "_")
    if tag in tags().get(arch, ()):
        return Tag(arch, tag)
    plain = arch.removesuffix(QUICK)
    if arch != plain and tag in tags().get(plain, ()):
        raise OpenClipError(
            f"{tag} was trained without QuickGELU, so {arch} would give wrong embeddings: name it "
            f"openclip:{plain}/{tag}."
        )
    return None


def unknown(name: str) -> OpenClipError:
    """The error for a name that is neither known nor a path, with what may have been meant."""
    arch = name.rpartition("/")[0]
    for known in (name.replace("/", "-"), arch.replace("/", "-")):
        if runs := tags().get(known):
            return OpenClipError(
                f"openclip:{name} names no pretrained tag of {known}: put one of them behind a "
                f"slash, {', '.join(runs)}."
            )
    names = [f"{tag.arch}/{tag.tag}" for tag in all_tags()]
    close = difflib.get_close_matches(name, names, 3, 0.4)
    meant = f", for example {' or '.join(f'openclip:{other}' for other in close)}" if close else ""
    return OpenClipError(
        f"OpenCLIP knows no model openclip:{name} and there is no such folder or file: give "
        f"openclip:ARCHITECTURE/TAG{meant}, or the path of a folder with open_clip_config.json."
    )


def languages(config: Config, arch: str = "") -> tuple[str, ...]:
    """Languages that the labels and captions of such a model may be in."""
    text = config["text_cfg"]
    words = f"{arch} {text.get('hf_model_name')} {text.get('hf_tokenizer_name')}".lower()
    many = ("xlm", "mt5", "i18n", "siglip2", "worldwide")
    return ("en", "ko") if any(word in words for word in many) else ("en",)


def _package() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise OpenClipError("The package open_clip_torch is missing: pip install open_clip_torch.")
    return Path(spec.origin).parent


def _heavy(node: ast.stmt) -> bool:
    if isinstance(node, ast.Try):
        return True
    if isinstance(node, ast.ImportFrom):
        return bool(node.level) or str(node.module).split(".")[0] not in sys.stdlib_module_names
    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] not in sys.stdlib_module_names for name in node.names)
    return False
