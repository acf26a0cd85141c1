"""Which package may import which, and what an import loads."""

import ast
import importlib
import importlib.util
import subprocess
import sys
import textwrap
import types
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


class Package(NamedTuple):
    """What a package may import from elsewhere: when it loads (``eager``) or when it is called (``late``)."""

    eager: str = ""
    late: str = ""


# The table of acg_lab/docs/architecture.md: a package imports only from those above it.
PACKAGES = {
    "acg_lab": Package("lazy_loader"),  # names load on first use
    "core": Package("msgspec", "rfc8785"),
    "_format": Package(),
    "config": Package("msgspec tomlkit"),
    "storage": Package("msgspec numpy", "fsspec joblib pyarrow redis tqdm"),
    "logs": Package("msgspec numpy", "fsspec pyarrow"),
    "snapshot": Package("msgspec numpy", "tqdm"),
    "history": Package("msgspec numpy", "tqdm"),
    "providers": Package("msgspec numpy", "genai_prices"),
    "simulation": Package("msgspec numpy", "tqdm"),
    "repairs": Package("msgspec numpy", "rapidfuzz"),
    "diagnosis": Package("msgspec numpy", "dateutil rapidfuzz"),
    "advice": Package("msgspec numpy", "tqdm"),
    "frames": Package("msgspec numpy pandas"),
    "plots": Package("numpy pandas", "matplotlib"),
    "reporting": Package("numpy", "jinja2 matplotlib"),
    "fleet": Package("msgspec numpy", "distributed joblib"),
    "widgets": Package("ipywidgets matplotlib msgspec numpy pandas traitlets", "IPython"),
    "cli": Package("msgspec numpy pandas rich tqdm typer", "distributed joblib jupyterlab matplotlib tornado voila"),
    "docs": Package("", "matplotlib nbclient nbformat sphinx"),
}
ORDER = list(PACKAGES)
# The only imports that point up: values make their frames, when called.
UPWARDS = {
    ("acg_lab.advice.comparison", "frames"),
    ("acg_lab.advice.recommendation", "frames"),
    ("acg_lab.advice.sweep", "frames"),
    ("acg_lab.diagnosis.findings", "frames"),
    ("acg_lab.history.trace", "frames"),
}
# Inside storage each backend keeps its client to itself.
CLIENTS = {"redis": ("redis_",), "pyarrow": ("parquet_",), "fsspec": ("parquet_",)}


class Import(NamedTuple):
    """One import statement: who imports what, when, and whether only a type checker reads it."""

    module: str
    target: str
    at_load: bool
    for_types: bool = False


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module):
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
    """Walk a module's imports, those under TYPE_CHECKING too."""
    stack = [(ast.parse(path.read_text(encoding="utf-8")), True, False)]
    while stack:
        node, at_load, for_types = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, module, path):
                yield Import(module, target, at_load, for_types)
            continue
        inner = at_load and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            stack.extend((child, at_load, True) for child in node.body)
            stack.extend((child, inner, for_types) for child in node.orelse)
        else:
            stack.extend((child, inner, for_types) for child in ast.iter_child_nodes(node))


def is_upwards(found):
    """Whether it is one of the listed imports that point up."""
    return (found.module, package_of(found.target)) in UPWARDS and not found.at_load


IMPORTS = [found for module, path in MODULES.items() for found in imports_of(module, path)]


def fault(found):
    """Say what is wrong with an import; None if nothing is."""
    package, library = package_of(found.module), found.target.split(".")[0]
    rule = PACKAGES[package]
    if library == "acg_lab":
        target = package_of(found.target)
        allowed = (
            package in ("cli", "docs", "fleet") if target == "acg_lab" else ORDER.index(target) <= ORDER.index(package)
        )
        return None if allowed or is_upwards(found) else f"{package} may not import {target}"
    if library in sys.stdlib_module_names or found.for_types:
        return None
    if package == "storage" and library in CLIENTS and not found.module.split(".")[2].startswith(CLIENTS[library]):
        return f"{library} belongs to its backend"
    if library in rule.eager.split() or (library in rule.late.split() and not found.at_load):
        return None
    return f"{package} may not import {library}{' when it loads' if found.at_load else ''}"


@pytest.mark.parametrize("package", sorted(set(map(package_of, MODULES))))
def test_packages_keep_to_the_table(package):
    """Every package is in the table, and imports nothing that its row does not name."""
    assert package in PACKAGES
    faults = {(i.module, i.target, fault(i)) for i in IMPORTS if package_of(i.module) == package and fault(i)}
    assert faults == set()


def test_no_cycles():
    """No modules import each other in a circle: when they load, when they are called, or for types alone."""
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
        ("acg_lab.core.keys", "acg_lab.storage.columns", True),
        ("acg_lab.core.keys", "rfc8785", True),
        ("acg_lab.core.codec", "redis", False),
        ("acg_lab.storage.redis_backend", "redis", True),
        ("acg_lab.plots.prefix_stability", "matplotlib.pyplot", True),
        ("acg_lab.snapshot.load", "acg_lab.history", True),
        ("acg_lab.history.walk", "pandas", True),
        ("acg_lab.history.trace", "acg_lab.frames", True),
        ("acg_lab", "acg_lab.core", True),
    ],
)
def test_faults(module, target, at_load):
    """The walk finds what the table forbids: a wrong package, a wrong library, or a right one too early."""
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
    """Return the top-level packages that a statement loads."""
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
    """Importing the package loads none of its packages, and not msgspec either."""
    assert "msgspec" not in loaded_by("import acg_lab")


@pytest.fixture
def bare(tmp_path):
    """Make a folder that holds acg_lab, msgspec and lazy_loader, and nothing else."""
    (tmp_path / "acg_lab").symlink_to(PACKAGE, target_is_directory=True)
    for name in ("lazy_loader", "msgspec"):
        library = Path(importlib.util.find_spec(name).origin).parent
        (tmp_path / name).symlink_to(library, target_is_directory=True)
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
    """What the stub lists can be had from the package, and nothing more is offered."""
    import acg_lab  # noqa: PLC0415

    assert all(getattr(acg_lab, name) is not None for name in acg_lab.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        acg_lab.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["acg_lab", "acg_lab.frames", "acg_lab.plots"])
def test_completion(name):
    """Completion offers the public names of a module, and neither its helpers nor the modules behind it."""
    module = importlib.import_module(name)
    assert sorted(offered for offered in dir(module) if not offered.startswith("__")) == sorted(module.__all__)


def test_no_function_has_the_name_of_its_package():
    """A package is never shadowed by a function, so that its modules can be imported by name."""
    import acg_lab  # noqa: PLC0415

    packages = {module.split(".")[1] for module in MODULES if module.count(".") == 1}
    functions = {name for name in acg_lab.__all__ if not isinstance(getattr(acg_lab, name), types.ModuleType)}
    assert packages & functions == set()
