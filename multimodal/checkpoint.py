"""A model is a folder: config.json, model.safetensors, tokenizer.json, README.md (its card).

`config.json` names the family, holds the model's own configuration (preprocessing included) and
the SHA-256 of every other file, so that a torn, foreign or edited checkpoint is refused before a
single weight of it is used. Weights come from safetensors only: nothing in a checkpoint can run.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal.errors import UserError

if TYPE_CHECKING:  # torch costs seconds to import and listing models must not
    from torch import Tensor, nn

FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER, CARD = "config.json", "model.safetensors", "tokenizer.json", "README.md"
SCALE = ".int8_scale"  # ends the name of a table's scales
BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints"


class CheckpointError(UserError):
    """A checkpoint is missing, torn, foreign or made for something else."""


@dataclass(frozen=True)
class Manifest:
    """What `config.json` says, read without touching the weights.

    Attributes:
        folder: Where the checkpoint lies.
        family: ``clip``, ``vqvae``, ``dalle``, ``vilbert`` or ``judge``.
        config: The model's own configuration.
        sha256: File name to hex digest.
        figures: Measured figures that menus show, name to value.
    """

    folder: Path
    family: str
    config: dict[str, Any]
    sha256: dict[str, str]
    figures: dict[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """Short digest of configuration and weights; keys caches and galleries."""
        text = json.dumps([self.family, self.config, self.sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read whole.

    Attributes:
        manifest: What its configuration file says.
        tensors: Weights by name, float32.
        tokenizer: Text of `tokenizer.json`, or None where the model reads no words.
    """

    manifest: Manifest
    tensors: "dict[str, Tensor]"
    tokenizer: str | None


def bundled(family: str | None = None) -> list[str]:
    """Names of the models shipped in `checkpoints/`, all or those of one family."""
    if not BUNDLED.is_dir():
        return []
    names = sorted(folder.parent.name for folder in BUNDLED.glob(f"*/{CONFIG}"))
    return [name for name in names if family is None or name.startswith(family + "-")]


def resolve(name: str | os.PathLike) -> Path:
    """Finds a model's folder.

    Args:
        name: A bundled name such as ``clip-photos``, or the path of a checkpoint folder.

    Raises:
        CheckpointError: if there is no such model.
    """
    text = os.fspath(name)
    plain = re.fullmatch(r"[\w.-]+", text) is not None
    if plain and (BUNDLED / text / CONFIG).is_file():
        return BUNDLED / text
    folder = Path(text).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    known = ", ".join(bundled()) or "none"
    raise CheckpointError(
        f"There is no model named {text!r}: give a bundled name ({known}) "
        f"or a folder that holds {CONFIG} and {WEIGHTS}."
    )


def read_manifest(folder: str | os.PathLike, family: str | None = None) -> Manifest:
    """Reads and checks `config.json`.

    Args:
        folder: A checkpoint folder.
        family: The family that is wanted, or None for any.

    Raises:
        CheckpointError: if the file is torn, foreign, of a newer format or of another family.
    """
    folder = Path(folder)
    path = folder / CONFIG
    try:
        raw = json.loads(path.read_text("utf-8"))
        manifest = Manifest(
            folder=folder,
            family=str(raw["family"]),
            config=dict(raw["config"]),
            sha256=dict(raw["sha256"]),
            figures=dict(raw.get("figures", {})),
        )
        version = int(raw["format"])
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not a configuration of this project: "
            "copy the whole checkpoint folder again from where it came."
        ) from error
    if version > FORMAT:
        raise CheckpointError(
            f"{folder} was written by a newer version of this project (format {version}, "
            f"this one reads up to {FORMAT}): update the project."
        )
    if family is not None and manifest.family != family:
        raise CheckpointError(
            f"{folder} holds a {manifest.family} model where a {family} model is needed."
        )
    return manifest


def verify(manifest: Manifest) -> None:
    """Compares every file of a checkpoint with its recorded digest.

    Raises:
        CheckpointError: naming the first file that is missing or differs.
    """
    for name, expected in manifest.sha256.items():
        path = manifest.folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: copy the whole checkpoint folder again.")
        if _digest(path) != expected:
            raise CheckpointError(
                f"{path} is torn or was changed since it was saved "
                "(its SHA-256 is not the recorded one): copy the checkpoint folder again."
            )


def load(name: str | os.PathLike, family: str | None = None) -> Checkpoint:
    """Reads a checkpoint whole, its digests checked first.

    Args:
        name: A bundled name or a folder.
        family: The family that is wanted, or None for any.

    Raises:
        CheckpointError: if it is missing, torn, foreign or of another family.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    manifest = read_manifest(resolve(name), family)
    verify(manifest)
    try:
        tensors = load_file(manifest.folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{manifest.folder / WEIGHTS} is not a readable safetensors file: "
            "copy the checkpoint folder again."
        ) from error
    tokenizer = manifest.folder / TOKENIZER
    return Checkpoint(
        manifest=manifest,
        tensors=_unpack(tensors),
        tokenizer=tokenizer.read_text("utf-8") if TOKENIZER in manifest.sha256 else None,
    )


def fill(network: "nn.Module", checkpoint: Checkpoint) -> None:
    """Puts a checkpoint's weights into a network.

    Raises:
        CheckpointError: if names or shapes are not those of the network.
    """
    try:
        network.load_state_dict(checkpoint.tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights in {checkpoint.manifest.folder} do not fit their configuration: "
            "copy the checkpoint folder again."
        ) from error


def save(
    folder: str | os.PathLike,
    family: str,
    config: Any,
    tensors: "Mapping[str, Tensor]",
    *,
    tokenizer: str | None = None,
    card: str = "",
    figures: Mapping[str, Any] | None = None,
    half: bool = True,
    tables: Collection[str] = (),
) -> Manifest:
    """Writes a checkpoint; `config.json` comes last, so a killed save is never mistaken for whole.

    Args:
        folder: Where to write; made if missing.
        family: ``clip``, ``vqvae``, ``dalle``, ``vilbert`` or ``judge``.
        config: The model's configuration, a dataclass or a dict.
        tensors: Weights by name.
        tokenizer: Text of `tokenizer.json`, for models that read words.
        card: The model card; an existing card is kept where this is empty.
        figures: Measured figures for menus.
        half: Store floating-point weights in 16 bits.
        tables: Names of embedding tables (rows, width) that are stored in 8 bits, a scale per row.

    Raises:
        CheckpointError: if the folder cannot be written.
    """
    import torch
    from safetensors.torch import save_file

    folder = Path(folder)
    files: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        stored = {}
        for key, tensor in tensors.items():
            tensor = tensor.detach().cpu()
            if key in tables:
                stored |= _pack(key, tensor)
                continue
            is_float = tensor.is_floating_point()
            stored[key] = tensor.to(torch.float16 if half and is_float else tensor.dtype)
            stored[key] = stored[key].clone(memory_format=torch.contiguous_format)
        save_file(stored, folder / f"{WEIGHTS}.part")
        (folder / f"{WEIGHTS}.part").chmod(0o644)  # the library lets its owner alone read it
        os.replace(folder / f"{WEIGHTS}.part", folder / WEIGHTS)
        files[WEIGHTS] = _digest(folder / WEIGHTS)
        if tokenizer is not None:
            write_text(folder / TOKENIZER, tokenizer)
            files[TOKENIZER] = _digest(folder / TOKENIZER)
        if card:
            write_text(folder / CARD, card)
        body = {
            "format": FORMAT,
            "family": family,
            "config": asdict(config) if is_dataclass(config) else dict(config),
            "sha256": files,
            "figures": dict(figures or {}),
        }
        write_text(folder / CONFIG, json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CheckpointError(
            f"The model cannot be saved to {folder} ({error.strerror}): free some space there "
            "or choose another folder with --out."
        ) from error
    return read_manifest(folder, family)


def _pack(key: str, table: "Tensor") -> "dict[str, Tensor]":
    """A table (rows, width) as whole numbers from -127 to 127 and the scale of each row."""
    import torch

    scale = (table.float().abs().amax(1, keepdim=True) / 127).clamp(min=1e-6).half()
    numbers = (table.float() / scale.float()).round().clamp(-127, 127)
    return {key: numbers.to(torch.int8), f"{key}{SCALE}": scale}


def _unpack(stored: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Weights in float32: fewer bits are for the disk only, CPUs compute with these."""
    tensors = {}
    for key, tensor in stored.items():
        if (scale := stored.get(f"{key}{SCALE}")) is not None:
            tensor = tensor.float() * scale.float()
        if not key.endswith(SCALE):
            tensors[key] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def set_figures(folder: str | os.PathLike, figures: Mapping[str, Any]) -> None:
    """Records measured figures beside a checkpoint's configuration; weights stay untouched."""
    path = Path(folder) / CONFIG
    body = json.loads(path.read_text("utf-8"))
    body["figures"] = {**body.get("figures", {}), **figures}
    write_text(path, json.dumps(body, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    os.replace(part, path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
