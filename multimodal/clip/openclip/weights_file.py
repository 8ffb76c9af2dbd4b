"""What a file of OpenCLIP weights is, told from its header alone: whole, whose, and which one.

A safetensors file begins with the length of a JSON header (8 bytes, little-endian) that names
every tensor with its type, shape and place; https://github.com/huggingface/safetensors.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multimodal.errors import UserError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
_LONGEST_HEADER = 100_000_000  # bytes, the format's own limit
_SAMPLE = 4096  # bytes read at the beginning, middle and end of every tensor

Shapes = Mapping[str, tuple[int, ...]]
Header = Mapping[str, Mapping[str, Any]]


class WeightsError(UserError):
    """A file of weights is torn, foreign, unsafe or made for another architecture."""


def pickle_error(path: str | Path) -> WeightsError:
    """Why a pickle file is not opened, and what to do."""
    return WeightsError(
        f"{path} is a pickle file, which can run any code when it is opened, so only safetensors "
        "are loaded: take the .safetensors file of the same model, or convert this one where you "
        "trust it (torch.load with weights_only=True, then safetensors.torch.save_file)."
    )


def read_header(path: Path) -> Header:
    """Reads and checks the header of a safetensors file.

    Args:
        path: The file.

    Returns:
        Tensor name to ``{"dtype": ..., "shape": [...], "data_offsets": [begin, end]}``, the
        offsets counted from the beginning of the file.

    Raises:
        WeightsError: if the file is a pickle, torn, or no safetensors file.
    """
    if path.suffix.lower() in PICKLES:
        raise pickle_error(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            length = int.from_bytes(head, "little")
            if head[:2] == b"PK" or head[:1] == b"\x80":
                raise pickle_error(path)
            if len(head) == 8 and length <= _LONGEST_HEADER and 8 + length > size:
                raise _torn(path, size, None)
            if len(head) < 8 or length > _LONGEST_HEADER:
                raise _foreign(path)
            raw = json.loads(file.read(length))
        raw.pop("__metadata__", None)
        base = 8 + length
        header = {
            name: {
                "dtype": str(entry["dtype"]),
                "shape": tuple(int(side) for side in entry["shape"]),
                "data_offsets": tuple(base + int(offset) for offset in entry["data_offsets"]),
            }
            for name, entry in raw.items()
        }
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise _foreign(path) from error
    if not header:
        raise _foreign(path)
    end = max(entry["data_offsets"][1] for entry in header.values())
    if end > size:
        raise _torn(path, size, end)
    if end < size:
        raise _foreign(path)
    return header


def shapes_of(header: Header) -> dict[str, tuple[int, ...]]:
    """Tensor name to shape."""
    return {name.removeprefix("module."): entry["shape"] for name, entry in header.items()}


def fingerprint(path: Path, header: Header, settings: Any) -> str:
    """Digest of weights and settings that takes milliseconds.

    Of every tensor go in the name, type and shape, and 4 KiB from its beginning, middle and end:
    two trainings differ in every tensor that was trained, so they differ here, without reading
    hundreds of megabytes at every start. It tells models apart; it is no seal against forgery.

    Args:
        path: The weights.
        header: What `read_header` gave.
        settings: Whatever else decides the embeddings, fit for JSON.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=list).encode())
    with path.open("rb") as file:
        for name in sorted(header):
            entry = header[name]
            begin, end = entry["data_offsets"]
            digest.update(f"{name} {entry['dtype']} {entry['shape']}".encode())
            for start in sorted({begin, max(begin, (begin + end) // 2), max(begin, end - _SAMPLE)}):
                file.seek(start)
                digest.update(file.read(min(_SAMPLE, end - start)))
    return digest.hexdigest()[:16]


def looks_like(shapes: Shapes, configs: Mapping[str, Mapping[str, Any]]) -> str:
    """Says in words what architecture the weights belong to.

    Args:
        shapes: Tensor name to shape.
        configs: Architecture name to OpenCLIP configuration, the candidates.
    """
    seen = _traits_of_file(shapes)
    names = [
        name
        for name, config in configs.items()
        if not name.endswith("-quickgelu") and _fits(seen, _traits_of_config(config))
    ]
    if names:
        return " or ".join(names[:3])
    if not any(key in seen for key in ("embed_dim", "vision_width")):
        return "no CLIP model"
    words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in seen.items())
    return f"a model with {words}"


def resized(shapes: Shapes, wanted: Shapes) -> str:
    """The first tensor that has another shape than wanted, in words, or an empty string."""
    for name, shape in shapes.items():
        other = wanted.get(name)
        # a single number may be stored as () or (1,)
        if other is not None and other != shape and math.prod(other) * math.prod(shape) != 1:
            return f"{name} is {'x'.join(map(str, shape))}, not {'x'.join(map(str, other))}"
    return ""


def _traits_of_file(shapes: Shapes) -> dict[str, Any]:
    """What can be told of both towers from the shapes of their tensors."""
    text = "text." if "text.token_embedding.weight" in shapes else ""
    traits: dict[str, Any] = {}
    if conv := shapes.get("visual.conv1.weight"):
        traits["vision_width"] = conv[0]
        traits["vision_layers"] = _count(shapes, r"visual\.transformer\.resblocks\.(\d+)\.")
        if positions := shapes.get("visual.positional_embedding"):
            traits["patch_size"] = conv[-1]
            traits["image_size"] = math.isqrt(positions[0] - 1) * conv[-1]
        else:
            traits["vision_width"] = 2 * conv[0]  # a ResNet's stem is half as wide
            traits["vision_layers"] = [
                _count(shapes, rf"visual\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)
            ]
    traits["pools"] = "visual.attn_pool.query" in shapes  # CoCa
    if tokens := shapes.get(f"{text}token_embedding.weight"):
        traits["vocab_size"], traits["text_width"] = tokens
        traits["text_layers"] = _count(shapes, rf"{re.escape(text)}transformer\.resblocks\.(\d+)\.")
    if projection := shapes.get(f"{text}text_projection"):
        traits["embed_dim"] = projection[-1]
    elif projection := shapes.get(f"{text}text_projection.weight"):
        traits["embed_dim"] = projection[0]
    return traits


def _traits_of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    vision, text = config["vision_cfg"], config["text_cfg"]
    traits = {
        "embed_dim": config["embed_dim"],
        "vision_width": vision.get("width"),
        "vision_layers": vision.get("layers"),
        "pools": bool(vision.get("attentional_pool")),
        "vocab_size": text.get("vocab_size"),
        "text_width": text.get("width"),
        "text_layers": text.get("layers"),
    }
    if isinstance(vision.get("layers"), list):
        traits["vision_width"] = vision.get("width", 64)
    else:
        traits["patch_size"] = vision.get("patch_size")
        traits["image_size"] = vision.get("image_size", 224)
    return {} if "timm_model_name" in vision or "hf_model_name" in text else traits


def _fits(seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return (
        bool(wanted)
        and "vision_width" in seen
        and all(seen[key] == wanted.get(key) for key in seen)
    )


def _count(shapes: Shapes, pattern: str) -> int:
    found = (re.match(pattern, name) for name in shapes)
    return len({match[1] for match in found if match})


def _torn(path: Path, size: int, end: int | None) -> WeightsError:
    of = "" if end is None else f" of {end:,}"
    return WeightsError(
        f"{path} is torn ({size:,}{of} bytes are there): delete it and download or copy it again."
    )


def _foreign(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not a whole safetensors file: delete it and download or copy it again."
    )
