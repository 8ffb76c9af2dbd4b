"""Starting the app wrongly ends in one sentence."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--gallery", "nowhere"], "there is no such folder"),
        (["--lang", "xx"], "lang"),
        (["--port", "TAKEN"], "give another --port"),
    ],
)
def test_wrong_flags(flags, said, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = [port if word == "TAKEN" else word for word in flags]
        done = subprocess.run(
            [sys.executable, "app.py", "--data", str(tmp_path), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode != 0
    assert said in done.stderr + done.stdout and "Traceback" not in done.stderr
