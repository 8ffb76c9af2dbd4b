"""How fast a DALL-E draws: `python benchmarks/draw.py [MODEL]`.

Side by side in one run: the app's way (cache, one batch), a plain loop that computes the whole
stream anew for every token, and what the memory bus allows: every token needs all weights once.
"""

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from multimodal import checkpoint, dalle
from multimodal.dalle.pipeline import TextToImage

PICTURES, PROMPT = 4, "a big red boat at sea"


def streamed(model: TextToImage) -> tuple[float, float]:
    """Seconds to the first partial pictures and to the finished ones."""
    began, first = time.perf_counter(), 0.0
    for _ in model.generate(PROMPT, PICTURES):
        first = first or time.perf_counter() - began
    return first, time.perf_counter() - began


@torch.inference_mode()
def uncached(model: TextToImage, tokens: int) -> float:
    """Seconds for the last so many tokens of the plain loop, as in minGPT's `generate`."""
    own, total = model.defaults, model.config.image_tokens
    generators = [torch.Generator().manual_seed(i) for i in range(PICTURES)]
    text = model.captions([PROMPT] * PICTURES + [""] * PICTURES)
    spent = 0.0
    # the stream grows by one a step: a few lengths spread over all of them stand for the rest
    for length in torch.linspace(0, total - 1, tokens).long().tolist():
        ids = torch.randint(model.config.codes, (PICTURES, length))
        began = time.perf_counter()
        _, places = model.dalle.read(text, ids.repeat(2, 1))
        model.next_token(places[:, length], own, generators)
        spent += time.perf_counter() - began
    return spent / tokens * total


def bandwidth() -> float:
    """Bytes per second that the processor reads from memory: a sum over 512 MB."""
    block = torch.ones(128 * 2**20)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        block.sum()
        times.append(time.perf_counter() - began)
    return block.numel() * 4 / min(times)


def main(names: list[str]) -> None:
    """Prints a table for each model."""
    print(f"{torch.get_num_threads()} threads, {PICTURES} pictures, guidance on")
    reads = bandwidth()
    for name in names:
        model = dalle.load(name)
        streamed(model)  # warm up
        first, whole = min(streamed(model) for _ in range(3))
        plain = uncached(model, 12)
        weights = sum(p.numel() * p.element_size() for p in model.dalle.blocks.parameters())
        weights += model.dalle.image_head.weight.numel() * 4
        bound = weights * model.config.image_tokens / reads
        rate = PICTURES * model.config.image_tokens / whole
        size = sum(p.numel() for p in model.dalle.parameters())
        print(f"\n{name}: {size / 1e6:.1f} M parameters, {model.config.image_tokens} tokens")
        print(f"  first partial pictures      {first:7.2f} s")
        print(f"  finished pictures           {whole:7.2f} s   {rate:,.0f} tokens/s")
        print(f"  plain loop without a cache  {plain:7.2f} s   {plain / whole:.1f} x as long")
        print(f"  weights through memory      {bound:7.2f} s   {whole / bound:.1f} x this bound")


if __name__ == "__main__":
    main(sys.argv[1:] or checkpoint.bundled("dalle"))
