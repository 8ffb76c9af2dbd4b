"""How fast the two tabs answer: `python benchmarks/app.py`.

Everything is measured in one run on this machine; where a bare library does the same, the ratio
to it is printed beside.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PHOTOS, SIDE = 300, 640


def median(work: Callable[[], object], times: int = 15) -> float:
    """Median seconds of a call, after one to warm up."""
    work()
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return sorted(spent)[times // 2]


def once(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def line(what: str, value: str, aim: str = "", ratio: str = "") -> None:
    """Prints one figure."""
    print(f"{what:<58} {value:>12}   {aim:<12} {ratio}", flush=True)


def page() -> None:
    """Seconds from `python app.py` to the first page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "app.py", "--port", str(port), "--data", folder]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                break
            except OSError:
                time.sleep(0.02)
        spent = time.perf_counter() - began
        process.terminate()
        process.wait()
    line("page served after `python app.py`", f"{spent:.1f} s", "6 s")


def classify() -> None:
    """One photo against cached, new and ready-made labels."""
    from multimodal.data.toybox import draw, make_scene
    from multimodal.labels import read_label_set
    from multimodal.ui.context import Context
    from multimodal.ui.settings import Settings
    from multimodal.ui.texts import Texts

    context = Context(Settings(), Texts())
    model = context.clip("clip-photos")
    scenes = iter([draw(make_scene(i), 512) for i in range(40)])
    names = [label.en for label in read_label_set("coco80")]
    context.labels(model, names, ensemble=True)
    spent = median(
        lambda: context.image(model, next(scenes)) @ context.labels(model, names, ensemble=True).T
    )
    line("a new photo against 80 cached labels", f"{1000 * spent:.0f} ms", "40 ms")
    new = [f"unheard-of thing number {i}" for i in range(20)]
    spent = once(lambda: context.labels(model, new, ensemble=True))
    line("20 new labels with seven templates", f"{spent:.2f} s", "1 s")
    thousand = [label.en for label in read_label_set("imagenet")]
    spent = once(lambda: context.labels(model, thousand, ensemble=True))
    line("a preset of 1,000 labels", f"{spent:.2f} s", "1 s")


def openclip() -> None:
    """Embedding through our interface against bare open_clip, the same weights and batch."""
    import open_clip
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from multimodal import clip

    with tempfile.TemporaryDirectory() as folder:
        bare, _, transform = open_clip.create_model_and_transforms("ViT-B-32", pretrained=None)
        bare.eval()
        save_file(bare.state_dict(), Path(folder) / "open_clip_model.safetensors")
        preprocess = open_clip.get_model_preprocess_cfg(bare)
        config = {
            "model_cfg": open_clip.get_model_config("ViT-B-32"),
            "preprocess_cfg": {k: preprocess[k] for k in ("mean", "std", "interpolation")},
        }
        (Path(folder) / "open_clip_config.json").write_text(json.dumps(config))
        ours = clip.load(f"openclip:{folder}")
        images = [Image.effect_noise((256, 256), 60).convert("RGB") for _ in range(16)]

        def plain() -> torch.Tensor:
            with torch.inference_mode():
                pixels = torch.stack([transform(image) for image in images])
                return torch.nn.functional.normalize(bare.encode_image(pixels), dim=-1)

        base = median(plain, 7)
        spent = median(lambda: ours.encode_images(images), 7)
    line(
        "16 photos through an OpenCLIP ViT-B-32",
        f"{1000 * spent:.0f} ms",
        "1.05 x",
        f"{spent / base:.2f} x bare open_clip",
    )


def index() -> None:
    """Photos a second from JPEG files, against decoding and embedding one after the other."""
    from PIL import Image

    from multimodal import clip
    from multimodal.data.toybox import draw, make_scene
    from multimodal.retrieval import Gallery

    model = clip.load("clip-photos")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(PHOTOS):
            scene = draw(make_scene(i), SIDE)
            noise = Image.effect_noise((SIDE, SIDE), 40).convert("RGB")  # as heavy as a photo
            Image.blend(scene, noise, 0.25).crop((0, 0, SIDE, 480)).save(
                Path(folder) / f"{i}.jpg", quality=90
            )
        gallery = Gallery.create(None, model)
        spent = once(lambda: list(gallery.add(folder)))
        files = sorted(Path(folder).glob("*.jpg"))[: PHOTOS // 3]

        def plainly() -> None:
            for file in files:
                with Image.open(file) as photo:
                    model.encode_images([photo.convert("RGB")])

        base = len(files) / once(plainly)
    rate = PHOTOS / spent
    line(
        f"indexing JPEG files of {SIDE} px",
        f"{rate:.0f} photos/s",
        "100 photos/s",
        f"{rate / base:.1f} x one by one",
    )


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    page()
    classify()
    index()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line("largest memory with both tabs' models in use", f"{peak:.0f} MB", "1500 MB")
    openclip()
