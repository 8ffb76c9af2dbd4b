"""Starts the app: `python app.py`, then open the address that it prints."""

import tyro

from multimodal.ui import launch
from multimodal.ui.settings import Settings

if __name__ == "__main__":
    launch(tyro.cli(Settings, description="Multimodal classroom, in the browser."))
