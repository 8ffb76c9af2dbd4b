import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from curves import curve
from torch import nn

from multimodal.training import loop
from multimodal.training.loop import LoopSettings, TrainingError, learning_rate, run

# a whole training in a few lines, for this process and for one that is to be killed
TASK = """
import sys, time
from pathlib import Path
import torch
from torch import nn
from multimodal.training.loop import LoopSettings, run

class Line(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(4, 1)
    def forward(self, batch):
        noise = 0.01 * torch.randn(1)  # randomness inside a step must be resumed too
        loss = (self.layer(batch["x"]) - batch["y"] + noise).square().mean()
        return loss, {"square": loss.detach()}

class Task:
    def __init__(self): self.model = Line()
    def batch(self, step, rank=0, world=1):
        g = torch.Generator().manual_seed(step)
        x = torch.randn(8, 4, generator=g)
        return {"x": x, "y": x.sum(1, keepdim=True)}
    def parameter_groups(self): return [{"params": list(self.model.parameters())}]
    def validate(self, model): return {"weight": model.layer.weight.mean().item()}
    def export(self, model, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weight.txt").write_text(str(model.layer.weight.tolist()))

SETTINGS = LoopSettings(steps=40, learning_rate=0.05, warmup=2, precision="no", save_every=0.0,
                        validate_every=20, ema=0.5)
"""
exec(TASK)


def losses(folder):
    return [line["loss"] for line in curve(folder)]


def test_it_learns_logs_validates_and_exports(tmp_path):
    steps = list(run(Task(), SETTINGS, tmp_path))  # noqa: F821
    assert steps[-1].done == steps[-1].total == 40 and steps[-1].rate > 0
    falling = losses(tmp_path)
    assert falling[-1] < 0.2 * falling[0]
    log = curve(tmp_path)
    assert "val_weight" in log[19] and "val_weight" in log[39] and "val_weight" not in log[5]
    assert (tmp_path / "model" / "weight.txt").is_file()


def test_a_run_killed_with_9_resumes_on_the_same_curve(tmp_path):
    list(run(Task(), SETTINGS, tmp_path / "whole"))  # noqa: F821
    script = TASK + ("for p in run(Task(), SETTINGS, Path(sys.argv[1])):\n    time.sleep(0.05)\n")
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed")])
    log = tmp_path / "killed" / "log.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if log.is_file() and len(log.read_text().splitlines()) >= 12:
            break
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    before = len(losses(tmp_path / "killed"))
    assert 12 <= before < 40
    resumed = list(run(Task(), SETTINGS, tmp_path / "killed", resume=True))  # noqa: F821
    assert resumed[0].done > 5  # it went on, it did not begin again
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"), abs=1e-5)
    assert (tmp_path / "killed/model/weight.txt").read_text() == (
        tmp_path / "whole/model/weight.txt"
    ).read_text()


def test_accumulated_batches_are_one_step(tmp_path):
    settings = LoopSettings(**{**vars(SETTINGS), "accumulate": 3, "steps": 5})  # noqa: F821
    assert len(list(run(Task(), settings, tmp_path))) == 5  # noqa: F821


def test_a_wrong_path_fails_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="choose another --out"):
        next(iter(run(Task(), SETTINGS, tmp_path / "file" / "out")))  # noqa: F821


def test_a_torn_state_is_refused(tmp_path):
    list(run(Task(), SETTINGS, tmp_path))  # noqa: F821
    state = tmp_path / loop.STATE
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(TrainingError, match="torn or of another training"):
        next(iter(run(Task(), SETTINGS, tmp_path, resume=True)))  # noqa: F821


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    task = Task()  # noqa: F821
    nn.init.constant_(task.model.layer.weight, float("nan"))
    with pytest.raises(TrainingError, match="not a number"):
        next(iter(run(task, SETTINGS, tmp_path)))  # noqa: F821


def test_schedule_warms_up_and_ends_at_zero():
    settings = LoopSettings(steps=100, learning_rate=1.0, warmup=10)
    rates = [learning_rate(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) < 1.0 and rates[-1] < 0.001
    assert rates[9] > rates[0] and rates[50] == pytest.approx(0.5, rel=0.01)


def test_settings_name_what_is_wrong():
    with pytest.raises(TrainingError, match="precision"):
        LoopSettings(precision="fp8")
    with pytest.raises(TrainingError, match="ema"):
        LoopSettings(ema=1.0)
    assert torch.is_tensor(torch.zeros(1))


@pytest.mark.parametrize(("slow", "chosen"), [(torch.bfloat16, "no"), (torch.float32, "bf16")])
def test_the_precision_is_the_one_that_this_machine_multiplies_faster(slow, chosen, monkeypatch):
    clock = [0.0]

    class Matrix:
        def __init__(self, *shape, dtype):
            self.dtype = dtype

        def __matmul__(self, other):
            clock[0] += 2.0 if self.dtype is slow else 1.0

    monkeypatch.setattr(torch, "ones", Matrix)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock[0])
    assert loop.fastest_precision(torch.device("cpu")) == chosen
    assert loop.fastest_precision(torch.device("cuda")) == "bf16"


def test_two_processes_train_one_model(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(TASK + "for _ in run(Task(), SETTINGS, Path(sys.argv[1])): pass")
    out = tmp_path / "out"
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    ports = ["--num_machines", "1", "--mixed_precision", "no", "--main_process_port", "0"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launch, *ports, str(script), str(out)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    falling = losses(out)
    assert len(falling) == 40 and falling[-1] < 0.2 * falling[0]
