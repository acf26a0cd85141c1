"""The commands acg-lab notebook and acg-lab app, as their users start and end them."""

import ast
import http.cookiejar
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.cli._servers import private_page
from acg_lab.cli.notebook import copy_notebooks, set_source

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"
PASSWORD = "hunter2"


def make_notebook(*sources):
    """Make a notebook of code cells behind one of prose."""
    cells = [{"cell_type": "markdown", "source": ["SOURCE = 'prose'"], "metadata": {}}]
    for source in sources:
        cell = {"cell_type": "code", "source": source.splitlines(keepends=True), "metadata": {}}
        cells.append(cell | {"outputs": [], "execution_count": None})
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def sources(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"]]


@pytest.fixture
def checkout(tmp_path):
    """Make a folder that looks like a checkout of the project, with notebooks of our own."""
    folder = tmp_path / "checkout"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "acg_lab").symlink_to(Path(acg.__file__).parent, target_is_directory=True)
    (folder / "data").symlink_to(ROOT / "data", target_is_directory=True)
    for name in ("1_explore", "2_tune"):
        text = json.dumps(make_notebook("import acg_lab as acg", 'SOURCE = "../data/sample"\nsnap = acg.load(SOURCE)'))
        (folder / "notebooks" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return folder


class Server:
    """A command that serves, from its start to Ctrl-C."""

    def __init__(self, command, folder, checkout):
        (folder / "tmp").mkdir()
        (folder / "home").mkdir()
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        code += "from acg_lab.cli import main; main()"
        environment = os.environ | {"PYTHONPATH": str(checkout), "TMPDIR": str(folder / "tmp")}
        environment |= {"HOME": str(folder / "home"), "JUPYTER_PLATFORM_DIRS": "1"}
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *command, "--no-browser"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )
        watchdog = threading.Timer(90, self._process.kill)
        watchdog.start()
        self.address = self._process.stdout.readline().strip()
        watchdog.cancel()
        assert self.address, self._process.communicate()[1]

    def get(self, url):
        """Return the status, the final address and the text of a page."""
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        try:
            with urllib.request.build_opener(jar).open(url, timeout=90) as answer:
                return answer.status, answer.url, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.url, error.read().decode()

    def interrupt(self):
        """Press Ctrl-C; return the exit status and what was said."""
        self._process.send_signal(signal.SIGINT)
        try:
            out, err = self._process.communicate(timeout=60)
        finally:
            self._process.kill()
        return self._process.returncode, out, err


@pytest.fixture
def serve(tmp_path, checkout):
    """Return a function that starts a command; what it is still running at the end is killed."""
    started = []

    def start(*command):
        package = {"notebook": "jupyterlab", "app": "voila"}[command[0]]
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'acg-lab[lab]'")
        started.append(Server([str(part) for part in command], tmp_path, checkout))
        return started[-1]

    yield start
    for server in started:
        server._process.kill()
        server._process.communicate()


def check_token(server):
    """Who knows the token comes in, who does not is asked for it."""
    address, _, token = server.address.partition("?token=")
    assert address.startswith("http://127.0.0.1:")
    assert len(token) >= 32
    status, url, text = server.get(server.address)
    assert status == 200
    assert "/login" not in url
    assert "/login" in server.get(address)[1]
    assert "/login" in server.get(f"{address}?token={token[:-1]}x")[1]
    return text


def check_end(server):
    """Ctrl-C ends it without a question, an error, or anything left behind."""
    status, _, err = server.interrupt()
    assert status == 0, err
    assert "Traceback" not in err
    assert not [path.name for path in (server.folder / "tmp").iterdir() if path.name.startswith(("acg-lab", "voila"))]
    return err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal here")
def test_notebook(serve, checkout):
    """JupyterLab runs on copies in a new folder, with the source set in them; Ctrl-C ends it."""
    before = {path: path.read_bytes() for path in (checkout / "notebooks").iterdir()}
    server = serve("notebook", SAMPLE, "--port", "18888")
    assert "/lab/tree/1_explore.ipynb" in server.address
    check_token(server)
    copy = server.folder / "acg-lab-notebooks" / "2_tune.ipynb"
    assert f"SOURCE = {str(SAMPLE)!r}\n" in sources(json.loads(copy.read_bytes()))[2]
    err = check_end(server)
    assert (str(copy.parent) in err, "not recognized" in err) == (True, False)
    assert {path: path.read_bytes() for path in (checkout / "notebooks").iterdir()} == before


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal here")
def test_app(serve, tmp_path):
    """Voilà serves the tuner; Ctrl-C ends it."""
    config = acg.export_config(tmp_path / "plugins.toml", acg.AcgSettings(observation_window=50))
    server = serve("app", SAMPLE, "--port", "18866", "--config", config)
    page = check_token(server)
    if hasattr(acg, "ThresholdTuner"):
        assert "Traceback" not in page
        assert "application/vnd.jupyter.widget-view+json" in page
    check_end(server)


@pytest.mark.parametrize(
    ("command", "package", "name"), [("app", "voila", "Voilà"), ("notebook", "jupyterlab", "JupyterLab")]
)
def test_missing_extra(command, package, name):
    """Where the extra is missing, the command says what to install, and does nothing."""
    code = f"import sys; sys.modules[{package!r}] = None; from acg_lab.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command, str(SAMPLE)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == f"acg-lab: acg-lab {command} needs {name}; install it with: pip install 'acg-lab[lab]'\n"


def test_app_tells_bad_sources(capsys):
    """What can't be read is told in the shell, not on the page."""
    if importlib.util.find_spec("voila") is None:
        pytest.skip("Voilà is not installed: pip install 'acg-lab[lab]'")
    for arguments, message in [
        (["no/such/folder"], "there is no such file or folder"),
        ([str(SAMPLE), "--config", "no/plugins.toml"], "no/plugins.toml: there is no such file"),
    ]:
        with pytest.raises(SystemExit) as ended:
            main(["app", *arguments])
        assert ended.value.code == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_this_machine_is_no_danger(capsys, host):
    """Nothing is warned of where only this machine gets in."""
    with private_page(host, open_browser=False) as page:
        page.announce(8000, "lab")
    out, err = capsys.readouterr()
    shown = f"[{host}]" if ":" in host else host
    assert out.splitlines()[0] == f"http://{shown}:8000/lab?token={page.token}"
    assert err == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "lab.example.com", ""])
def test_other_addresses_are_warned_of(capsys, host):
    """Where others can get in, it is said that prompts are private."""
    with private_page(host, open_browser=False):
        pass
    assert "warning: prompts are private" in capsys.readouterr().err


@pytest.mark.slow
def test_nobody_can_listen_there():
    """An address that is not this machine's is told as what it is."""
    if importlib.util.find_spec("voila") is None:
        pytest.skip("Voilà is not installed: pip install 'acg-lab[lab]'")
    code = "from acg_lab.cli import main; main()"
    command = [sys.executable, "-c", code, "app", str(SAMPLE), "--host", "192.0.2.1", "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "acg-lab: 192.0.2.1: can't serve the page: " in done.stderr


# --- copies ---


@pytest.mark.parametrize("source", ['/data/it\'s "mine"', "C:\\new\\table", "s3://bucket/\\1", "redis://cache:6379/0"])
def test_source_is_set(source):
    """The line SOURCE = ... of code cells gets the source, whatever characters it has; all else stays."""
    notebook = make_notebook("x = 1\nSOURCE = 'a'  # here\nSOURCE_2 = 1", "acg.load(SOURCE)\n")
    expected = make_notebook(f"x = 1\nSOURCE = {source!r}\nSOURCE_2 = 1", "acg.load(SOURCE)\n")
    assert set_source(notebook, source) == expected


@pytest.mark.parametrize(("name", "place"), [("sample", "data/sample"), ("sample-log", "data/requests.jsonl.gz")])
def test_own_sample_is_kept(name, place):
    """Without a source, a notebook loads the sample that it loads in the repository, from any folder."""
    (cell,) = sources(set_source(make_notebook(f'SOURCE = "../{place}"'), ""))[1:]
    path = ast.literal_eval(cell.removeprefix("SOURCE = "))
    assert acg.load(path, progress=False).source == acg.load(name, progress=False).source


def test_copies_have_no_outputs():
    """Outputs and pictures that are stored are those of the sample; a copy has none."""
    notebook = make_notebook("SOURCE = 'a'")
    notebook["cells"][1] |= {
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "a"}],
        "execution_count": 1,
    }
    notebook["cells"][0]["source"] = ["a\n", "\n", "![b](../data/b.webp)\n", "\n", "c"]
    prose, cell = set_source(notebook, "b")["cells"]
    assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert "".join(prose["source"]) == "a\n\nc"


def test_passwords_are_not_written_down():
    """A source with a password is read from the environment."""
    cells = sources(set_source(make_notebook("SOURCE = 'a'"), f"redis://me:{PASSWORD}@cache:6379/0"))
    assert cells[1] == 'import os\n\nSOURCE = os.environ["ACG_LAB_SOURCE"]  # redis://***@cache:6379/0'


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_copies_are_for_their_owner_alone(tmp_path, checkout):
    """A new folder of copies is private: their outputs will show what the source holds."""
    copy_notebooks(checkout / "notebooks", tmp_path / "mine", "history")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700


def test_own_copies_are_kept(tmp_path, checkout, capsys):
    """A notebook that is in the folder already stays as it is, and that is told."""
    own = tmp_path / "mine"
    own.mkdir()
    (own / "2_tune.ipynb").write_text("mine", encoding="utf-8")
    assert copy_notebooks(checkout / "notebooks", own, "history") == ["1_explore.ipynb", "2_tune.ipynb"]
    assert (own / "2_tune.ipynb").read_text(encoding="utf-8") == "mine"
    assert "2_tune.ipynb exists and is kept" in capsys.readouterr().err.replace("\n", " ")


def test_folder_that_is_a_file(tmp_path, checkout):
    """A place that can't hold the copies is told."""
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(acg.SourceError, match="file: can't copy the notebooks: "):
        copy_notebooks(checkout / "notebooks", place, "history")
