"""Where an OpenCLIP model lies on this machine and how it is to be read, settled without torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multimodal.clip.openclip import hub, table, weights_file
from multimodal.clip.openclip.hub import ModelNotDownloaded
from multimodal.clip.openclip.table import Config, OpenClipError, Tag
from multimodal.download import gigabytes

PREFIX = "openclip:"
CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
TOKENIZER = "tokenizer.json"
TOKENIZER_FILES = (  # of the many layouts, the ones that exist are fetched
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)


@dataclass(frozen=True)
class Reference:
    """What a name says.

    Attributes:
        name: The name as given, with its prefix.
        arch: Architecture, or None where a folder tells it.
        tag: The pretrained run, or None.
        path: Local folder or file, or None for the cache.
    """

    name: str
    arch: str | None = None
    tag: Tag | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Source:
    """Where a model lies and how it is to be read.

    Attributes:
        reference: The name taken apart.
        label: What error messages call the architecture.
        config: OpenCLIP's model configuration.
        preprocess: Mean, deviation, interpolation and resize mode.
        weights: The safetensors file.
        note: What was put right, or an empty string.
    """

    reference: Reference
    label: str
    config: Config
    preprocess: Config
    weights: Path
    note: str = ""


def parse(name: str) -> Reference:
    """Takes a name apart, see `multimodal.clip.openclip`.

    Raises:
        OpenClipError: if it names neither a known pair nor anything on the disk.
    """
    body = name.removeprefix(PREFIX).strip()
    name = PREFIX + body
    left, at, path = body.partition("@")
    if at and (found := _known(left)):
        arch, tag = found
        return Reference(name, arch, tag, Path(path).expanduser())
    if (found := _known(body)) and found[1] is not None:
        return Reference(name, *found)
    path = Path(body).expanduser()
    if body and (path.exists() or path.suffix in (".safetensors", *weights_file.PICKLES)):
        return Reference(name, path=path)
    raise table.unknown(body)


def locate(reference: Reference) -> Source:
    """Finds a model on this machine and settles its configuration, without loading anything.

    Raises:
        ModelNotDownloaded: if it is known but not here.
        UserError: if its configuration cannot be right.
    """
    tag, path = reference.tag, reference.path
    if path is None:
        weights = whole(tag)
        if weights is None:
            raise _not_downloaded(tag)
        source = Source(reference, tag.arch, tag.config(), tag.preprocess, weights, _note(tag))
    elif not path.exists():
        raise OpenClipError(f"{path} does not exist: check the path in {reference.name}.")
    elif reference.arch is None:
        source = _in_folder(reference, path)
    else:
        if path.is_dir():
            raise OpenClipError(f"{path} is a folder: name it {PREFIX}{path}.")
        source = _bare_file(reference)
    _check_preprocess(source)
    return source


def _known(text: str) -> tuple[str, Tag | None] | None:
    """``ARCHITECTURE`` or ``ARCHITECTURE/TAG`` looked up."""
    arch, _, tag = text.rpartition("/")
    if arch and (found := table.find_tag(arch, tag)):
        return found.arch, found
    arch = text.replace("/", "-")
    return (arch, None) if arch in table.architectures() else None


def _note(tag: Tag) -> str:
    if tag.quick_gelu == bool(table.architectures()[tag.arch].get("quick_gelu")):
        return ""
    return (
        f"{tag.name} was trained with QuickGELU, so it is loaded as {tag.arch}{table.QUICK}: "
        f"with the activation of {tag.arch} its embeddings would be wrong."
    )


def companions(tag: Tag) -> list[tuple[str, str, bool]]:
    """What a tag needs besides its weights: (repository, file, whether it must be there)."""
    text = table.architectures()[tag.arch]["text_cfg"]
    found = []
    if repo := text.get("hf_model_name"):
        found.append((repo, "config.json", True))
    if repo := text.get("hf_tokenizer_name"):
        found.append((repo, TOKENIZER, True))
        found += [(repo, name, False) for name in TOKENIZER_FILES]
    return found


def whole(tag: Tag) -> Path | None:
    """The weights of a tag in the cache, if everything that it needs is there."""
    return None if _missing(tag) else hub.find(tag.repo, tag.weights)


def _missing(tag: Tag) -> list[str]:
    """The companions that must be there and are not."""
    return [
        f"{name} of {repo}"
        for repo, name, needed in companions(tag)
        if needed and hub.find(repo, name) is None
    ]


def _not_downloaded(tag: Tag) -> ModelNotDownloaded:
    size, words = None, ""
    if hub.find(tag.repo, tag.weights) is not None:
        what = f"{tag.name} is on this machine but {_missing(tag)[0]} is not"
    else:
        from multimodal.clip.openclip.build import size_hint  # takes torch with it

        size = size_hint(tag)
        words = f" (about {gigabytes(size)})" if size else ""
        what = f"{tag.name} is not on this machine"
        if hub.find(tag.repo, tag.pickle) is not None:
            what += " but as a pickle file, which can run any code"
    return ModelNotDownloaded(
        f"{what}: get it{words} with the Download button, or with "
        f"python -m multimodal.clip.openclip {tag.name}",
        tag.name,
        size,
    )


def _in_folder(reference: Reference, path: Path) -> Source:
    """OpenCLIP's own layout: a configuration beside the weights."""
    folder = path if path.is_dir() else path.parent
    if path.suffix in weights_file.PICKLES:
        raise weights_file.pickle_error(path)
    if not (folder / CONFIG).is_file():
        cure = f"put its {CONFIG} there"
        if path.is_file():
            cure += f", or say what it is with {PREFIX}ARCHITECTURE/TAG@{path}"
        raise OpenClipError(f"{folder} has no {CONFIG}: {cure}.")
    config, preprocess = _read_config(folder / CONFIG)
    weights = path if path.is_file() else _weights_in(folder)
    for part in path.absolute().parts[-4:]:  # a folder with a publisher's name, or a cache's
        for tag in table.tags_of_repository(part.rpartition("--")[2]):
            if tag.quick_gelu != bool(config.get("quick_gelu")):
                was, now = ("with", "without") if tag.quick_gelu else ("without", "with")
                raise OpenClipError(
                    f"{part} was trained {was} QuickGELU and {folder / CONFIG} is {now}: set "
                    f'"quick_gelu": {str(tag.quick_gelu).lower()} in its model_cfg.'
                )
    return Source(reference, f"{folder / CONFIG}", config, preprocess, weights)


def _bare_file(reference: Reference) -> Source:
    """A file whose architecture is given; how it was trained is given too or beyond doubt."""
    arch, tag, path = reference.arch, reference.tag, reference.path
    if tag is not None:
        return Source(reference, arch, tag.config(), tag.preprocess, path, _note(tag))
    runs = [Tag(arch, name) for name in table.tags().get(arch, ())]
    ways: dict[str, Tag] = {}
    for run in runs:
        ways.setdefault(json.dumps([run.preprocess, run.quick_gelu], sort_keys=True), run)
    if len(ways) == 1:
        (run,) = ways.values()
        return Source(reference, arch, run.config(), run.preprocess, path, _note(run))
    if not ways:
        raise OpenClipError(
            f"Nothing says how {path} was trained: put its {CONFIG} beside it and name it "
            f"{PREFIX}{path}."
        )
    examples = " or ".join(f"{PREFIX}{arch}/{run.tag}@{path}" for run in list(ways.values())[:2])
    raise OpenClipError(
        f"{arch} was trained in {len(ways)} ways that differ in activation or preprocessing and "
        f"the file does not say in which: name the run, for example {examples}."
    )


def _weights_in(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix == ".safetensors")
    if len(found) == 1:
        return found[0]
    pickles = sorted(path for path in folder.iterdir() if path.suffix in weights_file.PICKLES)
    if pickles and not found:
        raise weights_file.pickle_error(pickles[0])
    raise OpenClipError(f"{folder} holds no {WEIGHTS[0]}: copy the whole folder again.")


def _read_config(path: Path) -> tuple[Config, Config]:
    """The model configuration and the preprocessing of ``open_clip_config.json``."""
    try:
        body = json.loads(path.read_text("utf-8"))
        config, preprocess = body["model_cfg"], body.get("preprocess_cfg")
        complete = all(isinstance(config[key], dict) for key in ("vision_cfg", "text_cfg"))
        if not complete or not isinstance(config["embed_dim"], int):
            raise ValueError("incomplete")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OpenClipError(
            f"{path} is no whole configuration of OpenCLIP: copy the folder again."
        ) from error
    if not isinstance(preprocess, dict) or not {"mean", "std"} <= preprocess.keys():
        raise OpenClipError(
            f"{path} does not say how pictures were preprocessed: add the preprocess_cfg of its "
            "training, with mean, std, interpolation and resize_mode."
        )
    if preprocess.get("size") not in (None, image_side(config), [image_side(config)] * 2):
        raise OpenClipError(
            f"{path} preprocesses pictures to {preprocess['size']} pixels and its image tower "
            f"reads {image_side(config)}: set both to the size that it was trained with."
        )
    # older files give only mean and deviation; these were the only ways when they were written
    defaults = {"interpolation": "bicubic", "resize_mode": "shortest"}
    given = {
        key: value
        for key, value in preprocess.items()
        if key in (*table.PREPROCESS, "fill_color") and value is not None
    }
    return config, {**defaults, **given}


def _check_preprocess(source: Source) -> None:
    """Refuses preprocessing that cannot be, or that a SigLIP model was not trained with."""
    way, label = source.preprocess, source.label
    for key, low in (("mean", -1e9), ("std", 1e-9)):
        values = _three(way[key])
        right = all(isinstance(value, int | float) and low <= value < 1e9 for value in values)
        if len(values) != 3 or not right:
            raise OpenClipError(f"{label} gives {way[key]!r} as {key}: give three numbers.")
    for key, choices in (
        ("interpolation", ("bicubic", "bilinear", "random")),
        ("resize_mode", ("shortest", "longest", "squash")),
    ):
        if way[key] not in choices:
            raise OpenClipError(
                f"{label} gives {way[key]!r} as {key}: choose one of {', '.join(choices)}."
            )
    tower = str(source.config["vision_cfg"].get("timm_model_name"))
    if "siglip" in tower.lower():
        wrong = [key for key in ("mean", "std") if set(_three(way[key])) != {0.5}]
        wrong += ["resize_mode"] if way["resize_mode"] != "squash" else []
        if wrong:
            raise OpenClipError(
                f"{label} has the SigLIP tower {tower} and another {' and '.join(wrong)} than "
                "SigLIP is trained with, so its embeddings would be wrong: set mean and std to "
                "[0.5, 0.5, 0.5] and resize_mode to squash."
            )


def _three(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, list | tuple) else [value] * 3


def image_side(config: Config) -> int:
    """Side in pixels of the square that the image tower reads."""
    size = config["vision_cfg"].get("image_size", 224)
    return size if isinstance(size, int) else size[0]
