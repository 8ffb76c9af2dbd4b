"""The command line: `python -m multimodal COMMAND`.

Every command is one dataclass: its fields are the arguments, their documentation is the help text,
and `run` does the work. What costs seconds to import is imported there and not before.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes

from multimodal.cli.common import one_line
from multimodal.cli.data import Data
from multimodal.cli.doctor import Doctor
from multimodal.cli.measure import Evaluate
from multimodal.cli.train import Train
from multimodal.cli.use import Answer, Classify, Generate, Index, Reconstruct, Search
from multimodal.errors import UserError

STOPPED = 130  # what shells report after Ctrl-C: 128 + SIGINT
WRONG = 2  # something the user gave cannot be used

Command = (
    Annotated[Classify, tyro.conf.subcommand("classify")]
    | Annotated[Index, tyro.conf.subcommand("index")]
    | Annotated[Search, tyro.conf.subcommand("search")]
    | Annotated[Answer, tyro.conf.subcommand("answer")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Data, tyro.conf.subcommand("data")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words of the command line; None takes those of the process.

    Returns:
        The exit status: 0 done, 1 the doctor found something broken, 2 bad input, 130 stopped
        with Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # Korean on a terminal that knows none
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = tyro.cli(
            Command,
            prog="python -m multimodal",
            description="Classify, search, ask and draw, with models trained in this repository.",
            args=words or ["--help"],
            config=(FlagCreatePairsOff, OmitSubcommandPrefixes, OmitArgPrefixes),
        )
        return command.run()
    except UserError as error:
        print(one_line(str(error)), file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(one_line(f"{place}{error.strerror or error}."), file=sys.stderr)
        return WRONG
