"""What is installed, found or broken, and the cure: `python -m multimodal doctor`.

Nothing heavy is imported and no request is made: versions come from the packages' metadata, models
are compared with their recorded sums, folders are tried by writing a byte.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multimodal import checkpoint
from multimodal.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
EXPECTED_MODELS = (
    *("clip-photos", "clip-toybox", "dalle-photos", "dalle-toybox", "judge-toybox"),
    *("vilbert-photos", "vilbert-toybox", "vqvae-photos", "vqvae-toybox"),
)
NEEDED_MEMORY = 1.5  # GB, with every tab in use
NEEDED_DISK = 1.0  # GB, for galleries and uploads
# requirements file, the state of a row if something of it is missing, what it is for
REQUIREMENTS = (
    ("requirements.txt", "bad", "the app"),
    ("requirements-train.txt", "warn", "training"),
    ("requirements-dev.txt", "warn", "the tests"),
)
KOREAN_FONTS = re.compile(
    r"(noto\w*(cjk|kr)|nanum|malgun|applesdgothic|applegothic|pretendard|undotum|unbatang|baekmuk"
    r"|gulim|batang|spoqa|d2coding|sourcehan)",
    re.IGNORECASE,
)

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Attributes:
        name: What was looked at.
        state: ``ok``, ``warn`` (something optional is missing) or ``bad`` (the app will not run).
        text: What was found.
        cure: What to do about it, empty where all is well.
    """

    name: str
    state: State
    text: str
    cure: str = ""


def examine(root: Path = ROOT) -> Iterator[Row]:
    """Looks at everything, one row at a time.

    Args:
        root: The project's folder, where the requirements files lie.
    """
    yield python_row()
    named = set()
    for file, state, purpose in REQUIREMENTS:
        for row in package_rows(root / file, state, purpose):
            if row.name not in named:  # asked for by two files
                yield row
            named.add(row.name)
    yield processor_row()
    yield memory_row(available_memory())
    yield disk_row(root)
    yield from model_rows()
    yield Row("network", "ok", "not needed: no request is made, and none without a Download button")
    for name, folder in writable_folders().items():
        yield folder_row(name, folder)
    yield font_row(font_folders())
    yield browser_row()


def exit_code(rows: Iterable[Row]) -> int:
    """1 if anything is bad, else 0."""
    return int(any(row.state == "bad" for row in rows))


def table(rows: Iterable[Row], width: int = 100) -> str:
    """The report as text.

    Args:
        rows: What `examine` yields.
        width: Columns of the terminal.
    """
    rows = list(rows)
    column = max((len(row.name) for row in rows), default=0)
    indent = " " * (6 + column + 2)
    lines = []
    for row in rows:
        text = f"{row.state:<6}{row.name:<{column}}  {row.text}"
        lines += textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
        if row.cure:
            cure = f"-> {row.cure}"
            lines += textwrap.wrap(
                cure,
                width,
                initial_indent=indent,
                subsequent_indent=indent + "   ",
                break_on_hyphens=False,
                break_long_words=False,
            )
    counts = {state: sum(row.state == state for row in rows) for state in ("ok", "warn", "bad")}
    lines.append(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['bad']} broken")
    return "\n".join(lines)


def python_row(version: tuple[int, int] = sys.version_info[:2]) -> Row:
    """The interpreter."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if version < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return Row("python", "bad", text, f"install Python {wanted} or newer")
    return Row("python", "ok", text)


def package_rows(file: Path, missing: State, purpose: str) -> Iterator[Row]:
    """The packages that one requirements file asks for, with their versions.

    Args:
        file: The requirements file.
        missing: State of a row whose package is missing or too old.
        purpose: What the packages are for, in a few words.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError:
        yield Row(
            file.name, "warn", f"not found in {file.parent}", "start from the project's own folder"
        )
        return
    for line in lines:
        match = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)
        if not match:  # a comment, an option or an empty line
            continue
        name = match.group(1)
        bound = re.search(r">=\s*([\w.]+)", line.partition("#")[0].partition(";")[0])
        cure = f"pip install -r {file.name}"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Row(name, missing, f"missing; {purpose} will not run without it", cure)
            continue
        if bound and _numbers(version) < _numbers(bound.group(1)):
            text = f"{version}; {purpose} needs {bound.group(1)} or newer"
            yield Row(name, missing, text, f"{cure} --upgrade")
        else:
            yield Row(name, "ok", version)


def processor_row() -> Row:
    """CPU cores that may be used, and whether there is a GPU driver."""
    usable = getattr(os, "sched_getaffinity", None)
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    gpu = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    found = "an NVIDIA driver is here" if gpu else "no GPU, and none is needed"
    return Row("processor", "ok", f"{cores} core{'s' * (cores != 1)}; {found}")


def available_memory() -> float | None:
    """GB of memory that are free for use, or None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e9
        return None
    except OSError:
        pages = {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(getattr(os, "sysconf_names", ()))
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9 if pages else None


def memory_row(gigabytes: float | None) -> Row:
    """Whether the app fits into memory."""
    if gigabytes is None:
        return Row("memory", "ok", f"this system does not tell; {NEEDED_MEMORY} GB are used")
    if gigabytes < NEEDED_MEMORY:
        text = f"{gigabytes:.1f} GB available; the app uses up to {NEEDED_MEMORY} GB"
        return Row("memory", "warn", text, "close other programs")
    return Row("memory", "ok", f"{gigabytes:.1f} GB available")


def disk_row(folder: Path) -> Row:
    """Free disk where the project lies."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < NEEDED_DISK:
        text = f"{free:.2f} GB free; galleries and uploads need about {NEEDED_DISK:g} GB"
        return Row("disk", "warn", text, "free some space")
    return Row("disk", "ok", f"{free:.1f} GB free")


def model_rows() -> Iterator[Row]:
    """The bundled models, each compared with its recorded sums."""
    found = checkpoint.bundled()
    cure = "get the folder again with `git checkout -- checkpoints`, or clone the project again"
    for name in sorted(set(found) | set(EXPECTED_MODELS)):
        if name not in found:
            yield Row(name, "bad", f"missing from {checkpoint.BUNDLED.name}/", cure)
            continue
        try:
            manifest = checkpoint.read_manifest(checkpoint.BUNDLED / name)
            checkpoint.verify(manifest)
        except UserError as error:
            yield Row(name, "bad", str(error), cure)
        else:
            size = sum((manifest.folder / file).stat().st_size for file in manifest.sha256)
            yield Row(name, "ok", f"whole, {size / 1e6:.1f} MB, its SHA-256 is the recorded one")


def writable_folders() -> dict[str, Path]:
    """Folders that are written to outside the project, by what they are for."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return {
        "uploads": Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()),
        "cache": Path(os.environ.get("HF_HOME") or cache),
    }


def folder_row(name: str, folder: Path) -> Row:
    """Whether a folder, or the one that it would be made in, can be written to."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        variable = "GRADIO_TEMP_DIR" if name == "uploads" else "HF_HOME"
        return Row(
            name,
            "bad" if name == "uploads" else "warn",
            f"{folder} cannot be written to ({error.strerror})",
            f"correct its permissions, or set {variable} to a folder of your own",
        )
    return Row(name, "ok", f"{folder} can be written to")


def font_folders() -> list[Path]:
    """Where this system keeps its fonts."""
    home = Path.home()
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".fonts",
        home / ".local/share/fonts",
        Path("/System/Library/Fonts"),
        Path("/Library/Fonts"),
        home / "Library/Fonts",
        Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts",
    ]


def font_row(folders: Iterable[Path]) -> Row:
    """Whether plots can write Korean."""
    for folder in folders:
        for _, _, files in os.walk(folder):
            for file in files:
                if KOREAN_FONTS.match(file):
                    return Row("Korean font", "ok", file)
    return Row(
        "Korean font",
        "warn",
        "none found; Korean labels in plots would show as empty boxes",
        "install one, for example `apt install fonts-noto-cjk` or `apt install fonts-nanum`",
    )


def browser_row() -> Row:
    """A browser for the browser tests."""
    for command in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(command):
            return Row("browser", "ok", f"{Path(path).name}, for the browser tests")
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    caches = [Path(folder)] if folder else []
    caches += [
        Path.home() / place / "ms-playwright"
        for place in (".cache", "Library/Caches", "AppData/Local")
    ]
    if any(found for cache in caches for found in cache.glob("chromium*")):
        return Row("browser", "ok", "Playwright's Chromium, for the browser tests")
    return Row(
        "browser",
        "warn",
        "no Chromium; only the browser tests need it",
        "python -m playwright install --with-deps chromium",
    )


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparing: ``2.15.0+cpu`` is (2, 15, 0)."""
    numbers = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
