"""The one training loop, on `accelerate`: one CPU, one GPU or many, by the same command.

What a step sees depends on the seed and the step number alone, never on what ran before. So a
run that was killed and resumed follows the same loss curve as one that was not.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from multimodal.errors import UserError
from multimodal.progress import Progress

STATE, LOG = "state.safetensors", "log.jsonl"
PRECISIONS = ("auto", "bf16", "no")


class TrainingError(UserError):
    """A training cannot start or go on."""


@dataclass(frozen=True)
class LoopSettings:
    """How a training runs, whatever the model.

    Attributes:
        steps: Optimizer steps in all.
        learning_rate: Peak of the cosine schedule; parameter groups may scale it.
        warmup: Steps of linear warm-up.
        weight_decay: Decoupled decay (AdamW), on matrices only.
        beta2: Second moment's decay.
        clip: Largest gradient norm.
        accumulate: Batches per optimizer step.
        ema: Decay of the averaged weights; these are what is validated and exported.
        precision: ``bf16``, ``no`` (32 bits), or ``auto``, whichever is faster on this machine.
        save_every: Seconds between saved states.
        validate_every: Steps between validations; 0 validates at the end only.
        seed: Root of all randomness.
    """

    steps: int = 1000
    learning_rate: float = 1e-3
    warmup: int = 50
    weight_decay: float = 0.05
    beta2: float = 0.98
    clip: float = 1.0
    accumulate: int = 1
    ema: float = 0.99
    precision: str = "auto"
    save_every: float = 180.0
    validate_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.accumulate < 1:
            raise TrainingError("steps and accumulate must be at least 1.")
        if not 0 <= self.ema < 1:
            raise TrainingError("ema must be at least 0 and under 1.")
        if self.precision not in PRECISIONS:
            raise TrainingError(
                f"precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}."
            )


class Task(Protocol):
    """What a model's training module gives the loop.

    Attributes:
        model: Its forward takes a batch and returns the loss and figures to log.
    """

    model: nn.Module

    def batch(self, step: int, rank: int, world: int) -> dict[str, Tensor]:
        """The batch of one step for one process; depends on its arguments alone."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters: ``scale`` on the learning rate, ``decay`` (bool) of matrices."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Figures of the averaged weights on data not trained on."""

    def export(self, model: nn.Module, folder: Path) -> None:
        """Writes the averaged weights as a checkpoint folder."""


def run(
    task: Task, settings: LoopSettings, out: Path, *, resume: bool = False
) -> Iterator[Progress]:
    """Trains; leaves a checkpoint in `out/model` and a log of figures in `out/log.jsonl`.

    Args:
        task: Model, data and loss.
        settings: Schedule and optimizer.
        out: Working folder; it is made.
        resume: Go on from the last saved state, if there is one.

    Yields:
        Progress after every step, its note holding the loss.

    Raises:
        TrainingError: if the folder cannot be written, holds another training, or the loss is
            no longer a number.
    """
    from accelerate import Accelerator

    # precision is set per step: accelerate would fix it for the life of the process
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())
    device, precision = accelerator.device, settings.precision
    if precision == "auto":
        precision = fastest_precision(device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    groups = _with_decay(task.parameter_groups(), settings)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, settings.beta2), eps=1e-8)
    model, optimizer = accelerator.prepare(task.model, optimizer)
    plain = accelerator.unwrap_model(model)
    averaged = AveragedModel(plain, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
    averaged.requires_grad_(False)
    averaged.train(plain.training)
    state = _State(plain, averaged.module, optimizer, accelerator.device)
    first = 0
    main = accelerator.is_main_process
    if resume and (out / STATE).is_file():
        first = state.load(out / STATE)
        averaged.n_averaged.fill_(first)
        if main:
            _cut_log(out / LOG, first)
    elif main:  # a wrong path or a full disk must fail now, not after an hour
        _make_folder(out, state)
        (out / LOG).write_text("")
        task.export(averaged.module, out / "model")
    accelerator.wait_for_everyone()

    def fetch(step: int) -> list[dict[str, Tensor]]:
        first_batch = step * settings.accumulate
        return [
            task.batch(first_batch + i, accelerator.process_index, accelerator.num_processes)
            for i in range(settings.accumulate)
        ]

    saved, started = time.monotonic(), time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        upcoming = pool.submit(fetch, first)
        for step in range(first, settings.steps):
            batches = upcoming.result()
            if step + 1 < settings.steps:
                upcoming = pool.submit(fetch, step + 1)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings) * group["scale"]
            torch.manual_seed(settings.seed * 1_000_003 + step)
            figures: dict[str, float] = {}
            for batch in batches:
                batch = {key: value.to(accelerator.device) for key, value in batch.items()}
                with autocast:
                    loss, parts = model(batch)
                accelerator.backward(loss / settings.accumulate)
                for key, value in {"loss": loss, **parts}.items():
                    figures[key] = figures.get(key, 0) + value.item() / settings.accumulate
            if not torch.isfinite(torch.tensor(figures["loss"])):
                raise TrainingError(
                    f"The loss at step {step} is not a number: lower the learning rate "
                    "and start again with --resume."
                )
            accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            optimizer.zero_grad()
            averaged.update_parameters(plain)
            done = step + 1
            last = done == settings.steps
            due = settings.validate_every and done % settings.validate_every == 0
            if main and (due or last):
                figures |= {f"val_{k}": v for k, v in task.validate(averaged.module).items()}
            if main:
                _append(out / LOG, {"step": done, **figures})
            if main and (last or time.monotonic() - saved > settings.save_every):
                state.save(out / STATE, done)
                task.export(averaged.module, out / "model")
                saved = time.monotonic()
            rate = (done - first) / (time.monotonic() - started)
            note = "  ".join(f"{k} {v:.3f}" for k, v in figures.items())
            yield Progress(done, settings.steps, note, rate)


def fastest_precision(device: torch.device) -> str:
    """``bf16`` or ``no``, whichever multiplies matrices faster.

    Processors differ: some have no instructions for bf16, and on some they are the slower ones.
    """
    if device.type != "cpu":
        return "bf16"

    kinds = (torch.float32, torch.bfloat16)
    pairs = [(torch.ones(2048, 256, dtype=k), torch.ones(256, 512, dtype=k)) for k in kinds]
    best = [float("inf")] * 2
    for _ in range(25):  # in turn, so that what else runs here slows both alike
        for i, (x, weight) in enumerate(pairs):
            started = time.perf_counter()
            x @ weight
            best[i] = min(best[i], time.perf_counter() - started)
    exact, rounded = best
    return "bf16" if 1.2 * rounded < exact else "no"  # autocast itself costs time


def learning_rate(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warm = min(1.0, (step + 1) / max(settings.warmup, 1))
    decay = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / settings.steps)).item())
    return settings.learning_rate * warm * decay


def _with_decay(groups: list[dict[str, Any]], settings: LoopSettings) -> list[dict[str, Any]]:
    """Splits every group into matrices, which decay unless told not to, and vectors."""
    split = []
    for group in groups:
        matrices = [p for p in group["params"] if p.ndim > 1 and p.requires_grad]
        vectors = [p for p in group["params"] if p.ndim <= 1 and p.requires_grad]
        shrink = settings.weight_decay if group.get("decay", True) else 0.0
        for params, decay in ((matrices, shrink), (vectors, 0.0)):
            if params:
                split.append(
                    {
                        "params": params,
                        "scale": group.get("scale", 1.0),
                        "weight_decay": decay,
                        "lr": settings.learning_rate,
                    }
                )
    return split


class _State:
    """All that a resumed run needs, in one safetensors file."""

    def __init__(
        self, model: nn.Module, averaged: nn.Module, optimizer: Any, device: torch.device
    ) -> None:
        self.model, self.averaged, self.optimizer, self.device = model, averaged, optimizer, device

    def save(self, path: Path, step: int) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        part = path.with_suffix(".part")
        try:
            save_file(tensors, part, {"step": str(step)})
            os.replace(part, path)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise TrainingError(
                f"The training state cannot be saved to {path.parent} ({error}): free some space "
                "and go on with --resume from the last saved state."
            ) from error

    def load(self, path: Path) -> int:
        from safetensors import safe_open

        try:
            tensors = load_file(path)
            with safe_open(path, "pt") as file:
                step = int(file.metadata()["step"])
            self.model.load_state_dict(_below(tensors, "model."))
            self.averaged.load_state_dict(_below(tensors, "averaged."))
        except (SafetensorError, RuntimeError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{path} is torn or of another training: give another --out, "
                "or start again without --resume."
            ) from error
        body = self.optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _below(tensors, "optimizer.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = tensor
        body["state"] = moments
        self.optimizer.load_state_dict(body)
        return step


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _make_folder(out: Path, state: _State) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{out} cannot be made ({error.strerror}): choose another --out."
        ) from error
    bytes_needed = 4 * sum(v.numel() * v.element_size() for v in state.model.state_dict().values())
    free = shutil.disk_usage(out).free
    if free < 2 * bytes_needed:
        raise TrainingError(
            f"{out} has {free / 1e6:.0f} MB free; this training needs "
            f"{2 * bytes_needed / 1e6:.0f} MB: free some space or choose another --out."
        )
    state.save(out / STATE, 0)


def _append(log: Path, figures: dict[str, float]) -> None:
    with log.open("a") as file:
        file.write(json.dumps({k: round(v, 6) for k, v in figures.items()}) + "\n")


def _cut_log(log: Path, step: int) -> None:
    """Drops what a killed run logged after its last saved state; those steps run again."""
    if log.is_file():
        kept = []
        for line in log.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except ValueError:  # the kill tore the last line
                break
        log.write_text("".join(line + "\n" for line in kept))
