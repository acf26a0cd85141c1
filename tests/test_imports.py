"""Which room may import which, and what an import loads."""

import ast
import importlib
import importlib.util
import subprocess
import sys
import textwrap
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "acg_lab"
HEAVY = {
    "duckdb",
    "fsspec",
    "IPython",
    "ipywidgets",
    "matplotlib",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "redis",
    "rfc8785",
    "rich",
    "tomlkit",
    "tqdm",
    "traitlets",
    "typer",
}


class Room(NamedTuple):
    """What a room may import: other rooms, and packages when it loads (``eager``) or when it is called (``late``)."""

    rooms: str = ""
    eager: str = ""
    late: str = ""


# STYLE.md, "Which room may import which"; msgspec comes with the core, and what takes long may show progress (tqdm).
ROOMS = {
    "core": Room(eager="msgspec", late="rfc8785"),
    "storage": Room("core", "msgspec numpy", "fsspec pyarrow redis tqdm"),
    "logs": Room("core storage", "msgspec numpy", "fsspec pyarrow"),
    "snapshot": Room("core config storage logs", "msgspec numpy", "tqdm"),
    "replay": Room("core storage snapshot", "msgspec numpy", "tqdm"),
    "tuning": Room("core replay", "msgspec numpy", "tqdm"),
    "explain": Room("core storage snapshot", "msgspec numpy", "dateutil rapidfuzz"),
    "frames": Room("core snapshot explain replay tuning", "msgspec numpy pandas"),
    "plots": Room("core frames", "numpy pandas", "matplotlib"),
    "config": Room("core", "msgspec tomlkit"),
    "widgets": Room(
        "core storage snapshot replay tuning explain frames plots config",
        "ipywidgets matplotlib msgspec numpy pandas traitlets",
        "IPython",
    ),
    "cli": Room(
        "core storage snapshot replay tuning explain frames plots config widgets acg_lab",
        "msgspec numpy pandas rich tqdm typer",
        "jupyterlab matplotlib tornado voila",
    ),
    "acg_lab": Room(),  # names load on first use
}
# The one import upwards, when it is called: what turns a room's values into frames (``to_frame``).
FRAMED = {"explain", "replay"}
# Inside storage each backend keeps its client to itself.
CLIENTS = {
    "redis": ("redis_",),
    "pyarrow": ("parquet_", "files", "tables", "table_values", "from_tables", "to_tables"),
    "fsspec": ("parquet_", "files"),
}


class Import(NamedTuple):
    """One import statement: who imports what, and whether it runs when the module loads."""

    module: str
    target: str
    at_load: bool


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    parts = module.split(".")
    if len(parts) == 1:
        return "acg_lab"
    return "cli" if parts[1] == "__main__" else parts[1]


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def targets(statement, module, path):
    """Return what a statement imports, by full name, down to the module where that is known."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    base = statement.module or ""
    if statement.level:
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        base = importlib.util.resolve_name("." * statement.level + base, package)
    return [f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in statement.names]


def imports_of(module, path):
    """Walk a module's imports; those under TYPE_CHECKING do not count."""
    stack = [(ast.parse(path.read_text(encoding="utf-8")), True)]
    while stack:
        node, at_load = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, module, path):
                yield Import(module, target, at_load)
            continue
        inner = at_load and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            children = node.orelse
        stack.extend((child, inner) for child in children)


def is_upwards(found):
    """Whether a value makes its frame."""
    return room_of(found.module) in FRAMED and room_of(found.target) == "frames" and not found.at_load


IMPORTS = [found for module, path in MODULES.items() for found in imports_of(module, path)]


def fault(found):
    """Say what is wrong with an import; None if nothing is."""
    room, package = room_of(found.module), found.target.split(".")[0]
    rule = ROOMS[room]
    if package == "acg_lab":
        target = room_of(found.target)
        allowed = target == room or target in rule.rooms.split() or is_upwards(found)
        return None if allowed else f"{room} may not import {target}"
    if package in sys.stdlib_module_names:
        return None
    if room == "storage" and package in CLIENTS and not found.module.split(".")[2].startswith(CLIENTS[package]):
        return f"{package} belongs to its backend"
    if package in rule.eager.split() or (package in rule.late.split() and not found.at_load):
        return None
    return f"{room} may not import {package}{' when it loads' if found.at_load else ''}"


@pytest.mark.parametrize("room", sorted(set(map(room_of, MODULES))))
def test_rooms_keep_to_the_table(room):
    """Every room is in the table, and imports nothing that its row does not name."""
    assert room in ROOMS
    faults = {(i.module, i.target, fault(i)) for i in IMPORTS if room_of(i.module) == room and fault(i)}
    assert faults == set()


def test_no_cycles():
    """No modules import each other in a circle, neither when they load nor when they are called."""
    graph = {module: set() for module in MODULES}
    for found in IMPORTS:
        # Packages gather the names of their modules, so these are no edges of their own.
        if found.target not in graph or found.target == found.module or is_upwards(found):
            continue
        if MODULES[found.module].name != "__init__.py":
            graph[found.module].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    "found", [Import("acg_lab.core.keys", "numpy", False), Import("acg_lab.frames", "redis", False)]
)
def test_the_table_bites(found):
    """An import that the table does not name is a fault, though it be made at call time."""
    assert fault(found)


@pytest.mark.parametrize(
    ("module", "target", "at_load"),
    [
        ("acg_lab.core.keys", "acg_lab.core.codec", True),
        ("acg_lab.core.keys", "rfc8785", True),
        ("acg_lab.core.codec", "redis", False),
        ("acg_lab.storage.redis_backend", "redis", True),
        ("acg_lab.plots.prefix", "matplotlib.pyplot", True),
        ("acg_lab.plots.prefix", "acg_lab.snapshot", True),
        ("acg_lab.tuning.cost", "pandas", True),
        ("acg_lab.replay.trace", "acg_lab.frames", True),
        ("acg_lab", "acg_lab.core", True),
    ],
)
def test_faults(module, target, at_load):
    """The walk finds what the table forbids: a wrong room, a wrong package, or a right one too early."""
    assert fault(Import(module, target, at_load))


# --- fresh interpreters ---


def run_python(code, *flags, path):
    """Run code in a fresh interpreter that sees nothing but the standard library and these folders."""
    code = f"import sys; sys.path[:0] = {list(map(str, path))!r}\n" + textwrap.dedent(code)
    command = [sys.executable, "-I", *flags, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement):
    code = f"{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(run_python(code, path=[PACKAGE.parent]).split())


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import acg_lab.core", set()),
        ("import acg_lab", set()),
        ("import acg_lab; dir(acg_lab); acg_lab.AcgLearner('a')", set()),
        ("import acg_lab.storage.memory, acg_lab.core.codec", set()),
    ],
)
def test_imports_are_light(statement, allowed):
    """The core, the package itself, and the store in memory load none of the heavy packages."""
    assert loaded_by(statement) & HEAVY <= allowed


def test_package_is_lazy():
    """Importing the package loads no room, and not msgspec either."""
    assert "msgspec" not in loaded_by("import acg_lab")


@pytest.fixture
def bare(tmp_path):
    """Make a folder that holds msgspec and acg_lab, and nothing else."""
    (tmp_path / "acg_lab").symlink_to(PACKAGE, target_is_directory=True)
    msgspec = Path(importlib.util.find_spec("msgspec").origin).parent
    (tmp_path / "msgspec").symlink_to(msgspec, target_is_directory=True)
    return tmp_path


def test_core_needs_msgspec_alone(bare):
    """With msgspec alone installed, a learner learns."""
    code = """
        import acg_lab.core as core
        class Store(dict):
            load_observations = dict.get
            store_observations = dict.__setitem__
            def store_stability(self, key, result): pass
        messages = ({"role": "system", "content": "s"}, {"role": "user", "content": "u", "n": 1})
        request = core.AnnotatedLlmRequest(messages=messages)
        call = core.CallRecord(kind="llm", name="n", started_at="t", annotated_request=request)
        run = core.RunRecord(id="r", agent_id="a", calls=(call, call), started_at="t")
        update = core.AcgLearner("a").process_run(run, Store(), core.HotCache())
        print(update.seed.stable_prefix_length, update.seed.total_observations, update.skipped)
        try:
            import numpy
        except ImportError:
            print("bare")
    """
    assert run_python(code, "-S", path=[bare]).split() == ["2", "2", "0", "bare"]


def test_public_names():
    """Every public name of the core is there, and each is listed once."""
    code = """
        import acg_lab.core as core
        assert len(set(core.__all__)) == len(core.__all__)
        print(*(name for name in core.__all__ if not hasattr(core, name)))
    """
    assert run_python(code, path=[PACKAGE.parent, Path(importlib.util.find_spec("msgspec").origin).parents[1]]) == "\n"


def test_every_public_name_loads():
    """What the package lists can be had from it, and nothing more is offered."""
    import acg_lab  # noqa: PLC0415

    assert sorted([*acg_lab._HOME, *acg_lab._ROOMS]) == sorted(acg_lab.__all__)
    assert all(getattr(acg_lab, name) is not None for name in acg_lab.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        acg_lab.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["acg_lab", "acg_lab.frames", "acg_lab.plots"])
def test_completion(name):
    """Completion offers the public names of a module, and neither its helpers nor the modules behind it."""
    module = importlib.import_module(name)
    assert sorted(offered for offered in dir(module) if not offered.startswith("__")) == sorted(module.__all__)


def test_mistyped_names_are_seen_by_type_checkers():
    """A type checker knows every public name of the package, and refuses others."""
    body = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    (seen,) = (node for node in body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = [alias.name for node in seen.body for alias in node.names]
    assert sorted(imported) == sorted(importlib.import_module("acg_lab").__all__)
    assert "__getattr__" not in {node.name for node in body if isinstance(node, ast.FunctionDef)}
