"""`python -m multimodal`: see `multimodal.cli`."""

import sys

from multimodal.cli import main

if __name__ == "__main__":
    sys.exit(main())
