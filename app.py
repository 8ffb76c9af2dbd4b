"""Starts the app: `python app.py`, then open the address that it prints."""

import sys

import tyro

from multimodal.errors import UserError
from multimodal.ui import launch
from multimodal.ui.settings import Settings

if __name__ == "__main__":
    try:
        launch(tyro.cli(Settings, description="Multimodal classroom, in the browser."))
    except UserError as error:
        sys.exit(str(error))
