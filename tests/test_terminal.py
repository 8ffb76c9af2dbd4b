"""Progress as a terminal, a log and one process of many show it."""

import io

import pytest

from multimodal import terminal
from multimodal.errors import UserError
from multimodal.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_is_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    terminal.show([Progress(1, 4, "a long note", 2.0), Progress(4, 4, "b")], "photos", stream)
    first, last = stream.getvalue().strip("\r\n").split("\r")
    assert first.startswith("[#####---------------]  25 %  1 of 4 photos  2.0 photos/s")
    assert len(first) <= 59 and last.startswith("[####################] 100 %")
    assert stream.getvalue().count("\n") == 1 and len(last) >= len(first)


def test_progress_in_a_log_is_a_line_a_step_and_the_last():
    stream = io.StringIO()
    reports = [Progress(n, 100, f"loss {9 - n / 50:.2f}") for n in range(1, 101)]
    terminal.show([Progress(0, None, "reading"), *reports], stream=stream)
    assert stream.getvalue().splitlines() == [
        "0  reading",
        "  1 %  1 of 100  loss 8.98",
        "100 %  100 of 100  loss 7.00",
    ]


def test_only_the_first_of_several_processes_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    stream = Terminal()
    terminal.show([Progress(1, 2)], stream=stream)
    assert stream.getvalue() == ""


def test_progress_ends_its_line_when_the_job_fails():
    def job():
        yield Progress(1, 2)
        raise UserError("Out of luck.")

    stream = Terminal()
    with pytest.raises(UserError):
        terminal.show(job(), stream=stream)
    assert stream.getvalue().endswith("\n")
