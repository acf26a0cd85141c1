"""Take the picture of the tuner in README: ``python data/make_tuner_picture.py``. It needs Chromium and Playwright."""

import io
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import acg_lab as acg

HERE = Path(__file__).parent
AGENT = "claims-triage"
WIDTH, SCALE = 1080, 1.5  # pixels of the page, and of the picture for one of them


def take(address: str) -> bytes:
    """Open the tuner, take what it recommends, and return a picture of it, as PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 1600}, device_scale_factor=SCALE)
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_selector(".acg-tuner .noUi-handle", timeout=120_000)
        page.get_by_role("button", name="Recommend settings").click()
        page.get_by_role("button", name="Use recommended").click(timeout=120_000)
        page.locator(".acg-write input").fill("plugins.toml")
        page.keyboard.press("Tab")
        page.mouse.click(1, 1)
        page.wait_for_timeout(15_000)  # costs come when they are computed, and the picture gets sharp
        return page.locator(".acg-tuner").screenshot()


def main() -> None:
    """Serve the tuner on one agent of the sample, and keep its picture as WebP."""
    with tempfile.TemporaryDirectory() as folder:
        history, config = Path(folder, "history"), Path(folder, "plugins.toml")
        acg.load(HERE / "sample", agent_id=AGENT, progress=False).to_parquet(history)
        shutil.copy(HERE / "plugins.toml", config)
        command = [sys.executable, "-m", "acg_lab", "app", "history", "--config", "plugins.toml", "--no-browser"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
            try:
                png = take(server.stdout.readline().strip())
            finally:
                server.send_signal(signal.SIGINT)
    Image.open(io.BytesIO(png)).convert("RGB").save(HERE / "tuner.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
