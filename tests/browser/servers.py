"""JupyterLab and Voilà servers for tests: a free loopback port, a token, settings in a folder of their own."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = 90  # seconds; a busy machine may take any time
LAB_SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false", "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},
}


class Server:
    """A server of the notebooks in a folder."""

    def __init__(self, folder, theme="light"):
        self.folder, self.theme = Path(folder), theme
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self._log = (self.folder / f"{type(self).__name__}.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", *map(str, self._command())],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait()

    def _environment(self):
        own = self.folder / ".jupyter"
        for name, settings in {**LAB_SETTINGS, "apputils-extension/themes": {"theme": self._lab_theme}}.items():
            file = own / "lab" / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings), encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
        return {
            **kept,
            "JUPYTER_CONFIG_DIR": str(own),
            "JUPYTERLAB_SETTINGS_DIR": str(own / "lab" / "user-settings"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "IPYTHONDIR": str(own / "ipython"),
            "PYTHONPATH": str(ROOT),
        }

    @property
    def _lab_theme(self):
        return f"JupyterLab {self.theme.title()}"

    @property
    def log(self):
        return (self.folder / f"{type(self).__name__}.log").read_text(encoding="utf-8", errors="replace")

    def _wait(self):
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self._address("", "")):
                    return
            except urllib.error.HTTPError:
                return  # it answers, if only that a token is missing
            except OSError:
                time.sleep(0.1)
        self.stop()
        msg = f"{type(self).__name__} did not start:\n{self.log}"
        raise RuntimeError(msg)

    def stop(self):
        """End the server and its kernels, which share one session."""
        for step in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, step)
                self._process.wait(15)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        self._log.close()


class Lab(Server):
    """JupyterLab; the page has its application as ``jupyterapp``."""

    def _command(self):
        yield from ("jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser")
        yield from ("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0")
        yield from (f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.folder}")
        yield from ("--LabApp.news_url=", "--KernelSpecManager.ensure_native_kernel=True")

    def _address(self, notebook, token):
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={token}"

    def address(self, notebook):
        return self._address(notebook, self.token)


class Voila(Server):
    """Voilà, which runs a notebook and shows its outputs as a page."""

    def _command(self):
        yield from ("voila", self.folder, "--no-browser", f"--port={self.port}", "--Voila.ip=127.0.0.1")
        yield from (f"--token={self.token}", f"--theme={self.theme}", "--show_tracebacks=True")

    def _address(self, notebook, token):
        return f"http://127.0.0.1:{self.port}/voila/render/{notebook}?token={token}"

    def address(self, notebook):
        return self._address(notebook, self.token)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
