"""The report on what is installed, found and broken."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from multimodal import checkpoint, doctor
from multimodal.doctor import Row


def save_model(folder, weights: bytes = b"weights") -> None:
    folder.mkdir(parents=True)
    (folder / checkpoint.WEIGHTS).write_bytes(weights)
    body = {
        "format": 1,
        "family": "clip",
        "config": {},
        "sha256": {checkpoint.WEIGHTS: hashlib.sha256(weights).hexdigest()},
    }
    (folder / checkpoint.CONFIG).write_text(json.dumps(body))


def test_packages_present_missing_and_too_old(tmp_path):
    (tmp_path / "requirements-train.txt").write_text(
        "# for training\n-r requirements.txt\n\n"
        "pytest>=1.0  # the tests\nnumpy[extra]>=1000.0; python_version > '3'\n"
        "no-such-package-at-all\n"
    )
    rows = list(doctor.package_rows(tmp_path / "requirements-train.txt", "warn", "training"))
    assert [(row.name, row.state) for row in rows] == [
        ("pytest", "ok"),
        ("numpy", "warn"),
        ("no-such-package-at-all", "warn"),
    ]
    assert rows[0].text == pytest.__version__
    assert "1000.0 or newer" in rows[1].text and rows[1].cure.endswith("--upgrade")
    assert rows[2].cure == "pip install -r requirements-train.txt"
    (absent,) = doctor.package_rows(tmp_path / "requirements.txt", "bad", "the app")
    assert absent.state == "warn"


@pytest.mark.parametrize(
    "older, newer", [("2.9", "2.15.0+cpu"), ("1.0", "1.0.1"), ("5", "6.0rc1"), ("2.1.9", "2.2")]
)
def test_versions_are_compared_as_numbers(older, newer):
    assert doctor._numbers(older) < doctor._numbers(newer)
    assert doctor._numbers("1.0.0") == doctor._numbers("1")


def test_models_whole_torn_and_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    save_model(tmp_path / "clip-photos")
    save_model(tmp_path / "vqvae-toybox")
    (tmp_path / "vqvae-toybox" / checkpoint.WEIGHTS).write_bytes(b"torn")
    rows = {row.name: row for row in doctor.model_rows()}
    others = set(doctor.EXPECTED_MODELS) - {"clip-photos"}
    assert {name: row.state for name, row in rows.items()} == {
        "clip-photos": "ok",
        "vqvae-toybox": "bad",
        **dict.fromkeys(others, "bad"),
    }
    assert "SHA-256" in rows["vqvae-toybox"].text and rows["vqvae-toybox"].cure
    assert "missing" in rows["clip-toybox"].text


def test_python_memory_and_disk(tmp_path, monkeypatch):
    assert doctor.python_row((3, 11)).state == "ok"
    assert doctor.python_row((3, 10)).state == "bad"
    assert doctor.memory_row(8.0).state == "ok"
    assert doctor.memory_row(0.5).state == "warn"
    assert doctor.memory_row(None).state == "ok"
    assert doctor.available_memory() is None or doctor.available_memory() > 0
    assert doctor.disk_row(tmp_path).text.endswith("GB free")
    monkeypatch.setattr(doctor, "NEEDED_DISK", 1e9)
    assert doctor.disk_row(tmp_path).state == "warn"


def test_folders_are_tried_and_left_as_they_were(tmp_path):
    assert doctor.folder_row("cache", tmp_path / "not" / "yet").state == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    row = doctor.folder_row("uploads", tmp_path / "file")
    assert row.state == "bad" and "GRADIO_TEMP_DIR" in row.cure


def test_fonts(tmp_path):
    assert doctor.font_row([tmp_path]).state == "warn"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "NotoSansCJK-Regular.ttc").touch()
    assert doctor.font_row([tmp_path]) == Row("Korean font", "ok", "NotoSansCJK-Regular.ttc")


def test_browser(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    assert doctor.browser_row().state == "warn"
    (tmp_path / "browsers" / "chromium-1234").mkdir(parents=True)
    assert doctor.browser_row().state == "ok"


def test_table_and_exit_code():
    fine, odd = Row("python", "ok", "3.11"), Row("a long name", "warn", "none", "get one")
    text = doctor.table([fine, odd], width=40)
    assert text.splitlines() == [
        "ok    python       3.11",
        "warn  a long name  none",
        "                   -> get one",
        "",
        "1 ok, 1 to look at, 0 broken",
    ]
    assert doctor.exit_code([fine, odd]) == 0
    assert doctor.exit_code([fine, Row("x", "bad", "y")]) == 1


def test_every_row_that_is_not_ok_has_a_cure():
    rows = list(doctor.examine())
    assert {"python", "processor", "memory", "disk", "network", "uploads", "browser"} <= {
        row.name for row in rows
    }
    assert all(row.cure for row in rows if row.state != "ok")
    assert max(map(len, doctor.table(rows, width=100).splitlines())) <= 100


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from multimodal import doctor; list(doctor.examine()); "
        "heavy = {'torch', 'gradio', 'open_clip', 'faiss', 'matplotlib', 'numpy'}; "
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(doctor.ROOT)},
    )
    assert done.returncode == 0, done.stderr
