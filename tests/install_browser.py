"""Installs what the browser tests need where it is missing: Chromium, and a font with Hangul.

On Debian and Ubuntu as root the system's packages are taken, elsewhere Playwright's own build.
"""

import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Path of an installed Chromium, or None; Playwright's own build counts too."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def main() -> int:
    if find_browser():
        return 0
    if shutil.which("apt-get"):
        root = [] if not shutil.which("sudo") else ["sudo", "-n"]
        packages = ["chromium", "fonts-noto-cjk"]
        for command in (["update", "-qq"], ["install", "-y", "-qq", *packages]):
            subprocess.run([*root, "apt-get", *command], check=False)
    if not find_browser():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if find_browser():
        return 0
    print("No Chromium could be installed: install it by hand and run the tests again.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
