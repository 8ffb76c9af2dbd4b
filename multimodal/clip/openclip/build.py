"""Turns a located OpenCLIP model into its module, transform and tokenizer, network untouched."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors import SafetensorError
from torch import Tensor

from multimodal.clip.openclip import hub, table, weights_file
from multimodal.clip.openclip.source import TOKENIZER, Source
from multimodal.clip.openclip.table import Config, OpenClipError, Tag
from multimodal.clip.openclip.weights_file import Header
from multimodal.clip.openclip.words import FastTokenizer


def _build(config: Config) -> Any:
    """OpenCLIP's module for a configuration, its weights random."""
    config = {
        **config,
        "vision_cfg": dict(config["vision_cfg"]),
        "text_cfg": dict(config["text_cfg"]),
    }
    text = config["text_cfg"]
    config["vision_cfg"].pop("timm_model_pretrained", None)
    custom = bool(config.pop("custom_text", False))
    if repo := text.get("hf_model_name"):
        custom = True
        text["hf_model_pretrained"] = False
        found = hub.find(repo, "config.json")
        if found is None:
            raise OpenClipError(
                f"The text tower needs config.json of {repo}, which is not in the Hugging Face "
                "cache of this machine: download the model once with the Download button."
            )
        _need_transformers(f"The text tower {repo}")
        text["hf_model_name"] = str(found.parent)
    if not custom:
        config.pop("multimodal_cfg", None)
        return open_clip.CLIP(**config)
    kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP
    return kind(**config)


def load_weights(source: Source, header: Header) -> Any:
    """OpenCLIP's module with its weights.

    Args:
        source: A located model.
        header: What `weights_file.read_header` gave for its weights.

    Raises:
        WeightsError: if the weights are of another architecture, naming both.
        OpenClipError: if the configuration cannot be built.
    """
    try:
        model = _build(source.config)
    except (TypeError, AssertionError, KeyError, RuntimeError, OSError) as error:
        raise OpenClipError(
            f"{source.label} is no configuration that OpenCLIP can build ({error}): copy it again."
        ) from error
    shapes = weights_file.shapes_of(header)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # a published run may be resized to its architecture's pictures on purpose; a file may not
    problem = weights_file.resized(shapes, wanted) if source.reference.path else ""
    cause = None
    if not problem:
        try:
            open_clip.load_checkpoint(model, str(source.weights), strict=True)
            return model
        except (SafetensorError, OSError) as error:
            raise weights_file.WeightsError(
                f"{source.weights} cannot be read ({error}): delete it and download or copy it "
                "again."
            ) from error
        except (RuntimeError, AttributeError, KeyError, AssertionError, ValueError) as error:
            cause = error
            differing = sorted(shapes.keys() ^ wanted.keys())
            problem = f"{len(differing)} tensors differ, {', '.join(differing[:2])} among them"
    seen = weights_file.looks_like(shapes, table.architectures())
    raise weights_file.WeightsError(
        f"{source.weights} does not fit {source.label}: it looks like {seen} ({problem}); name "
        "the architecture that it was trained with."
    ) from cause


def transform(source: Source) -> Callable:
    """OpenCLIP's own preprocessing: RGB picture to (3, side, side) float32."""
    size = source.config["vision_cfg"].get("image_size", 224)
    size = tuple(size) if isinstance(size, list) else size
    return image_transform_v2(PreprocessCfg(size=size, **source.preprocess), is_train=False)


def tokenizer(source: Source) -> Callable[[list[str]], Tensor]:
    """The tokenizer of the text tower, its files from the disk only: texts to (batch, context).

    Raises:
        OpenClipError: if its files are missing or torn.
    """
    text = source.config["text_cfg"]
    context = text.get("context_length", 77)
    options = dict(text.get("tokenizer_kwargs", {}))
    repo = text.get("hf_tokenizer_name")
    if not repo:
        return SimpleTokenizer(context_length=context, **options)
    beside = source.weights.parent / TOKENIZER
    found = beside if beside.is_file() else hub.find(repo, TOKENIZER)
    if found is None:
        raise OpenClipError(
            f"{source.reference.name} needs {TOKENIZER} of {repo}, which is neither beside its "
            f"weights nor in the Hugging Face cache: put it into {source.weights.parent}."
        )
    if "hf_model_name" in text or "tokenizer_mode" in text:
        # towers that are from transformers take its tokenizers, which know their languages
        _need_transformers(f"The tokenizer {repo}")
        mode = text.get("tokenizer_mode")
        local = {"local_files_only": True, "trust_remote_code": False}
        return HFTokenizer(
            str(found.parent), context_length=context, tokenizer_mode=mode, **options, **local
        )
    try:
        return FastTokenizer(found, context, text.get("vocab_size", 49408), **options)
    except TypeError as error:
        raise OpenClipError(
            f"{source.label} asks for tokenizer_kwargs that are not known ({error}): remove them."
        ) from error


def _need_transformers(what: str) -> None:
    if find_spec("transformers") is None:
        raise OpenClipError(f"{what} needs a further package: pip install transformers.")


def size_hint(tag: Tag) -> int | None:
    """About how many bytes a model's weights are, told from its architecture; loads torch."""
    if "hf_model_name" in tag.config()["text_cfg"]:
        return None  # its text tower's configuration is on the hub
    with torch.device("meta"):  # shapes without memory
        model = _build(tag.config())
    return 4 * sum(parameter.numel() for parameter in model.parameters())
