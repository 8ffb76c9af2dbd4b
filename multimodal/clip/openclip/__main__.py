"""``python -m multimodal.clip.openclip NAME ...`` downloads models, with a progress bar."""

import sys

from tqdm import tqdm

from multimodal.clip.openclip import download
from multimodal.errors import UserError


def main(names: list[str]) -> int:
    """Downloads the named models; returns the exit status."""
    try:
        for name in names:
            with tqdm(unit="B", unit_scale=True, unit_divisor=1000) as bar:
                for report in download(name):
                    bar.total = report.total
                    bar.set_description(report.note, refresh=False)
                    bar.update(report.done - bar.n)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
