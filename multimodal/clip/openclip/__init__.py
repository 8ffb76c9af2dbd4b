"""Any OpenCLIP model behind the `ClipModel` interface (Cherti et al. 2023).

A model is named in one of these ways:

- ``openclip:ARCHITECTURE/TAG``, for example ``openclip:ViT-B-32/laion2b_s34b_b79k``: from the
  Hugging Face cache on this machine, where `download` puts it;
- ``openclip:FOLDER`` in OpenCLIP's own layout, or ``openclip:FILE`` in such a folder:
  ``open_clip_config.json`` beside ``open_clip_model.safetensors``;
- ``openclip:ARCHITECTURE/TAG@FILE``: a bare safetensors file and the run that it is from.

Nothing is loaded but safetensors, and loading never touches the network.
"""

import logging
from collections.abc import Callable, Iterator
from time import sleep
from typing import TYPE_CHECKING

from multimodal.clip.base import ModelInfo
from multimodal.clip.openclip import hub, table, weights_file
from multimodal.clip.openclip.hub import ModelNotDownloaded
from multimodal.clip.openclip.source import PREFIX, companions, locate, parse, whole
from multimodal.clip.openclip.table import OpenClipError
from multimodal.download import DownloadError, gigabytes
from multimodal.progress import Progress

if TYPE_CHECKING:
    from multimodal.clip.openclip.model import OpenClipModel

__all__ = ["ModelNotDownloaded", "OpenClipError", "download", "load", "openclip_models", "parse"]

_log = logging.getLogger(__name__)


def load(name: str, *, device: str = "cpu") -> "OpenClipModel":
    """Loads a model from this machine in full precision; the network is never touched.

    Args:
        name: See the top of this module.
        device: Where torch is to put it.

    Raises:
        ModelNotDownloaded: if it is known but not here.
        UserError: if it is unknown, torn, unsafe, or made for something else.
    """
    from multimodal.clip.openclip import build
    from multimodal.clip.openclip.model import OpenClipModel

    source = locate(parse(name))
    header = weights_file.read_header(source.weights)
    tokenizer = build.tokenizer(source)
    module = build.load_weights(source, header)
    if source.note:
        _log.warning("%s", source.note)
    settings = [source.config, source.preprocess]
    fingerprint = weights_file.fingerprint(source.weights, header, settings)
    return OpenClipModel(module, build.transform(source), tokenizer, source, fingerprint, device)


def openclip_models(present_only: bool = True) -> list[ModelInfo]:
    """Lists the pretrained models of OpenCLIP, without loading torch.

    Args:
        present_only: Only those that are on this machine whole; else all that can be downloaded.
    """
    found = []
    for tag in table.all_tags():
        weights = whole(tag)
        if weights is not None or not present_only:
            note = "" if weights is None else gigabytes(weights.stat().st_size)
            spoken = table.languages(table.architectures()[tag.arch], tag.arch)
            found.append(ModelInfo(tag.name, f"{tag.arch} · {tag.tag}", "openclip", spoken, note))
    return found


def download(
    name: str, *, endpoint: str | None = None, wait: Callable[[float], None] = sleep
) -> Iterator[Progress]:
    """Downloads a model, its tokenizer included, into the Hugging Face cache.

    A cut download goes on where it stopped; what is there already is not fetched again.

    Args:
        name: ``openclip:ARCHITECTURE/TAG``.
        endpoint: Base address; ``HF_ENDPOINT`` or huggingface.co by default.
        wait: Sleeps between two attempts.

    Yields:
        Progress in bytes, file by file.

    Raises:
        DownloadError: with the cure, in one sentence.
        OpenClipError: if the name is unknown.
    """
    reference = parse(name)
    if reference.tag is None or reference.path is not None:
        raise OpenClipError(f"{reference.name} is on this machine: there is nothing to download.")
    tag = reference.tag
    weights = hub.inspect(tag.repo, tag.weights, endpoint=endpoint)
    if weights is None:
        raise DownloadError(
            f"The publisher of {tag.name} offers no {tag.weights}, only pickle files, which can "
            f"run any code: convert {tag.pickle} of {tag.repo} where you trust it and load it as "
            f"{PREFIX}{tag.arch}/{tag.tag}@FILE.safetensors."
        )
    for repo, name_, needed in companions(tag):
        file = hub.inspect(repo, name_, endpoint=endpoint)
        if file is not None:
            yield from hub.fetch(file, wait=wait)
        elif needed:
            raise DownloadError(
                f"{repo}, which {tag.name} needs, offers no {name_}: choose another model."
            )
    yield from hub.fetch(weights, wait=wait)
