"""Shows on the terminal where a slow job stands."""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterable
from typing import TextIO, TypeVar

from multimodal.progress import Progress

Report = TypeVar("Report", bound=Progress)

QUIET_SECONDS = 30  # between two lines of progress in a log file


def show(reports: Iterable[Report], unit: str = "", stream: TextIO | None = None) -> Report | None:
    """Drains a slow job and shows where it stands, on one line of a terminal.

    Where the output is no terminal, a line is written when the step changes, every half minute
    and at the end. Of the processes of one training only the first speaks.

    Args:
        reports: What the job yields.
        unit: What is counted; ``B`` shows megabytes.
        stream: Where to write; standard error if None.

    Returns:
        The last report, None if there was none.
    """
    stream = stream or sys.stderr
    live, said, step, width, held = stream.isatty(), 0.0, None, 0, None
    silent = os.environ.get("RANK", "0") != "0"
    columns = shutil.get_terminal_size((100, 24)).columns - 1
    report = None
    try:
        for report in reports:
            kind = re.sub(r"[-+\d.]+", "", report.note)  # the loss in a note is no new step
            if silent:
                continue
            if live:
                line = f"{bar(report)}{describe(report, unit)}"[:columns]
                print(f"\r{line:<{width}}", end="", file=stream, flush=True)
                width = len(line)
            elif kind != step or time.monotonic() - said > QUIET_SECONDS:
                print(describe(report, unit), file=stream, flush=True)
                said, step, held = time.monotonic(), kind, None
            else:
                held = report
        if held is not None:
            print(describe(held, unit), file=stream, flush=True)
        return report
    finally:
        if width:
            print(file=stream)


def bar(report: Progress, cells: int = 20) -> str:
    """``[#####---------------] `` or nothing where the end is not known."""
    if not report.total:
        return ""
    full = min(cells, cells * report.done // report.total)
    return f"[{'#' * full}{'-' * (cells - full)}] "


def describe(report: Progress, unit: str = "") -> str:
    """One report in words: share, amount, rate, time left and note."""
    scale, name = (1e6, " MB") if unit == "B" else (1, f" {unit}" if unit else "")
    amount = f"{report.done / scale:,.0f}"
    parts = []
    if report.total:
        parts.append(f"{100 * report.done / report.total:3.0f} %")
        amount += f" of {report.total / scale:,.0f}"
    parts.append(amount + name)
    if report.rate:
        parts.append(f"{report.rate / scale:,.1f}{name}/s")
        if report.total and report.total > report.done:
            minutes, seconds = divmod(int((report.total - report.done) / report.rate), 60)
            hours, minutes = divmod(minutes, 60)
            parts.append(f"{hours}:{minutes:02}:{seconds:02} left")
    return "  ".join([*parts, report.note] if report.note else parts)
