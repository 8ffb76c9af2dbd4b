"""The command `doctor`."""

import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, found and broken, and the cure; no request is made."""

    def run(self) -> int:
        """Prints the report; 1 if something is broken."""
        from multimodal.doctor import examine, exit_code, table

        rows = list(examine())
        print(table(rows, max(60, min(120, shutil.get_terminal_size((100, 24)).columns))))
        return exit_code(rows)
