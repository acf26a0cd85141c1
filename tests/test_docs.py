"""The pages of acg_lab/docs: references to them are alive, nothing outside the repository is cited, the site builds."""

import ast
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

import acg_lab
from acg_lab import frames, plots, repairs
from acg_lab.core import MissingExtraError, UsageError
from acg_lab.docs import build_site, gallery, reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "acg_lab" / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
SUFFIXES = {".py", ".md", ".ipynb", ".toml", ".css", ".yml", ".yaml"}
NEEDS_SPHINX = pytest.mark.skipif(
    importlib.util.find_spec("myst_nb") is None, reason="Sphinx is not installed; it comes with the 'dev' extra"
)

# Notes that planned the work were kept outside the repository; what binds of them is in acg_lab/docs.
OUTSIDE = re.compile(
    r"\bspec[ /]\w+\.md|\bspec,? sections?\b|\bthe spec\b"
    r"|\b(?:DESIGN|LAYOUT|NAMES|STYLE|REVIEW|LOOK)\.md|\.\./shared/\w+\.md"
)
PAGE = re.compile(r"(?:acg_lab/)?(?:docs/)?((?:[a-z_]+/)*[a-z_]+\.md)(#[\w-]+)?")
SECTION = r"\d+(?:\.\d+)?[a-z]?"
SECTIONS = re.compile(rf"\s*,?\s+sections?\s+({SECTION}(?:(?:, | and |, and | to ){SECTION})*)")
RULES = re.compile(r"\s*,?\s+(?:rules?\s+)?([A-Z]-\d+(?:(?:, | and |, and | to )[A-Z]-\d+)*)")
HEADING = re.compile(r'\s*,?\s+"([^"]+)"')
LINK = re.compile(r"\]\(([^)\s]+)\)")


class Citation(NamedTuple):
    """A page that a file names, and what in it: an anchor, sections, rules or a heading."""

    page: str
    anchor: str
    sections: list[str]
    rules: list[str]
    heading: str


def files():
    """Return the text files that may cite pages: code, tests, notebooks, README, data, project files."""
    top = [ROOT / name for name in ("README.md", "pyproject.toml", ".pre-commit-config.yaml")]
    found = [
        path for folder in ("acg_lab", "tests", "data", "notebooks", ".github") for path in (ROOT / folder).rglob("*")
    ]
    return [path for path in [*top, *found] if path.suffix in SUFFIXES and path.is_file() and path != Path(__file__)]


FILES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files()}


def joined(text):
    """Return a text with comment marks and line ends of running prose gone, since a citation may span lines."""
    return re.sub(r"\s*\n\s*(?:#:? )?", " ", text)


def find_citations(text):
    """Return the citations of pages in a text; a name that is no page of ours is left out unless it claims to be."""
    text = joined(text)
    for match in PAGE.finditer(text):
        page = find_page(match[1])
        if page is None and "acg_lab/docs/" not in match[0]:
            continue  # another file, such as data/README.md
        rest = text[match.end() :].removeprefix("`").removeprefix("``")
        sections, rules, heading = SECTIONS.match(rest), RULES.match(rest), HEADING.match(rest)
        yield Citation(
            page or match[1],
            (match[2] or "")[1:],
            re.findall(SECTION, sections[1]) if sections else [],
            re.findall(r"[A-Z]-\d+", rules[1]) if rules else [],
            heading[1] if heading else "",
        )


def find_page(name):
    """Return the page that a name means, by its path in the folder or by its file name alone; None if there is none."""
    if name in PAGES:
        return name
    same = [page for page in PAGES if page.rpartition("/")[2] == name]
    return same[0] if len(same) == 1 else None


def headings(page):
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


def anchors(page):
    """Return the anchors of a page's headings, as repository pages and the site make them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in headings(page)}


def find_fault(citation):
    """Say what of a citation does not exist; None if all of it does."""
    if citation.page not in PAGES:
        return f"no page {citation.page}"
    numbers = {title.split()[0].rstrip(".") for title in headings(citation.page)}
    names = {re.sub(rf"^{SECTION}\.? ", "", title) for title in headings(citation.page)}
    lost = [f"no section {number}" for number in citation.sections if number not in numbers]
    lost += [f"no rule {rule}" for rule in citation.rules if f"| {rule} |" not in PAGES[citation.page]]
    lost += [f"no heading {citation.heading!r}"] if citation.heading and citation.heading not in names else []
    lost += (
        [f"no anchor {citation.anchor!r}"] if citation.anchor and citation.anchor not in anchors(citation.page) else []
    )
    return f"{citation.page}: {', '.join(lost)}" if lost else None


@pytest.mark.parametrize("name", [name for name, text in FILES.items() if ".md" in text])
def test_citations_are_alive(name):
    """Every page that a file cites exists, with the section, rule, heading or anchor that is named."""
    assert [fault for citation in find_citations(FILES[name]) if (fault := find_fault(citation))] == []


@pytest.mark.parametrize(
    "name", [name for name, text in FILES.items() if OUTSIDE.search(joined(text))] or ["README.md"]
)
def test_nothing_outside_is_cited(name):
    """No file cites a page that is not in the repository."""
    assert OUTSIDE.findall(joined(FILES[name])) == []


@pytest.mark.parametrize(
    "text", ["(spec section 4)", "spec planner.md", "as LOOK.md has it", "(spec\n    sections 2, 3)"]
)
def test_citations_of_notes_are_found(text):
    """A citation of a planning note is found however it is written; a specification as such may be named."""
    assert OUTSIDE.search(joined(text))
    assert not OUTSIDE.search("importlib.util.find_spec(name); the specification; acg_lab/docs/look.md, section 4")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("see acg_lab/docs/rules/planner.md, section 4", None),
        ("(acg_lab/docs/rules/planner.md, sections 3, 4 and 8)", None),
        ("acg_lab/docs/rules/planner.md, section 40", "rules/planner.md: no section 40"),
        ("acg_lab/docs/rules/planner.md,\n    section 40", "rules/planner.md: no section 40"),
        ("acg_lab/docs/providers.md, A-4", None),
        ("providers.md, A-4 and A-99", "providers.md: no rule A-99"),
        ("providers.md, section 8.6a", None),
        ('acg_lab/docs/rules/config.md, "Refused by production"', None),
        ('acg_lab/docs/rules/config.md, "Refused by nobody"', "rules/config.md: no heading 'Refused by nobody'"),
        ("acg_lab/docs/glossary.md#settings", None),
        ("acg_lab/docs/glossary.md#nowhere", "glossary.md: no anchor 'nowhere'"),
        ("acg_lab/docs/nothing.md", "no page nothing.md"),
    ],
)
def test_dead_citations_are_found(text, fault):
    """A citation of something that does not exist is a fault; one that spans lines is read whole."""
    (citation,) = find_citations(text)
    assert find_fault(citation) == fault


@pytest.mark.parametrize("page", PAGES)
def test_links_are_alive(page):
    """Every link of a page leads to a file of the repository, and its anchor to a heading."""
    for link in LINK.findall(PAGES[page]):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = ((DOCS / page).parent / path).resolve() if path else (DOCS / page).resolve()
        assert target.is_file(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(str(target.relative_to(DOCS))), link


@pytest.mark.parametrize("page", PAGES)
def test_modules_of_pages_exist(page):
    """Every module that a page names with its package exists, once the package does."""
    named = re.findall(r"`((?:acg_lab/)?[a-z_]+/[a-z_]+\.py)`", PAGES[page])
    paths = [ROOT / "acg_lab" / name.removeprefix("acg_lab/") for name in named]
    paths = [ROOT / name if name.startswith("tests/") else path for name, path in zip(named, paths, strict=True)]
    assert [str(path) for path in paths if path.parent.is_dir() and not path.is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_wrap(page):
    """Prose of pages stays within 120 columns; rows of tables, pictures and code may be longer."""
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith(("|", "!["))] == []


def find_public():
    """Return the public classes and functions that users import, by name."""
    return {
        f"{package.__name__}.{name}": getattr(package, name)
        for package in (acg_lab, frames, plots, repairs)
        for name in package.__all__
        if not inspect.ismodule(getattr(package, name)) and callable(getattr(package, name))
    }


def missing_sections(value):
    """Return what a docstring lacks: an example; of functions also what goes in, comes out and is raised."""
    doc = inspect.getdoc(value) or ""
    sections = set(re.findall(r"^(\w+)\n-{3,}$", doc, re.MULTILINE))
    wanted = set()
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
        wanted |= {"Parameters"} if signature.parameters else set()
        wanted |= {"Returns"} if signature.return_annotation not in {None, "None"} else set()
        wanted |= {"Raises"} if any(isinstance(node, ast.Raise) and node.exc for node in ast.walk(tree)) else set()
    return sorted(wanted - sections) + (
        [] if re.search(r"^Examples\n-{8}\n(.*\n)*>>> ", doc, re.MULTILINE) else ["Examples"]
    )


@pytest.mark.parametrize("name", find_public())
def test_public_names_are_documented(name):
    """Every public name has an example that runs; functions say what they take, return and raise."""
    assert missing_sections(find_public()[name]) == []


def test_missing_sections_are_found():
    """A section that is missing is named; one that makes no sense is not asked for."""

    def double(number: int) -> int:
        """Double.

        Parameters
        ----------
        number : int
        """
        if number < 0:
            msg = "negative"
            raise ValueError(msg)
        return 2 * number

    def reset() -> None:
        """Reset.

        Examples
        --------
        >>> reset()
        """

    assert missing_sections(double) == ["Raises", "Returns", "Examples"]
    assert missing_sections(reset) == []


def test_every_plot_has_an_example():
    """Every public function that returns axes is in the gallery, with code that draws it."""
    found = gallery.find_plots()
    assert {"prefix_stability", "window_heatmap", "profiles_overview"} <= set(found)
    assert not {"alt_text", "save", "set_theme", "theme"} & set(found)
    assert all(f"plots.{name}(" in gallery.get_example(name, function) for name, function in found.items())
    assert set(gallery.EXAMPLES) <= set(plots.__all__)


def test_a_plot_without_example_is_refused():
    """A plot that nobody wrote an example for stops the build, by name."""

    def new_plot() -> "plots.Axes":
        """Draw nothing yet."""

    with pytest.raises(UsageError, match="new_plot"):
        gallery.get_example("new_plot", new_plot)


def test_a_docstring_is_an_example():
    """Without an entry in the table, the docstring's example is taken."""

    def new_plot() -> "plots.Axes":
        """Draw.

        >>> ax = acg.plots.new_plot(snap)
        """

    assert gallery.get_example("new_plot", new_plot) == "ax = acg.plots.new_plot(snap)"


def test_reference_has_every_public_name(tmp_path):
    """Each public name of each public package is described on exactly one page."""
    reference.write_reference(tmp_path / "api")
    text = "\n".join(path.read_text(encoding="utf-8") for path in (tmp_path / "api").glob("acg_lab*.rst"))
    described = re.findall(r"^   (\w+)$", text, re.MULTILINE)
    for package in reference.find_packages().values():
        values = {name: getattr(package, name) for name in package.__all__}
        assert {name for name, value in values.items() if not isinstance(value, type(sys))} <= set(described)
    assert "StabilityThresholds" in described
    assert described.count("UsageError") == 1


def test_only_sites_are_replaced(tmp_path):
    """A folder that holds anything else is not replaced by a site."""
    pytest.importorskip("myst_nb")
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UsageError, match="not a site"):
        build_site.build_site(tmp_path)
    assert (tmp_path / "letter.txt").read_text(encoding="utf-8") == "dear"


def test_missing_sphinx_is_named():
    """Without Sphinx the command says what to install and ends with status 1, without a traceback."""
    code = (
        "import sys; sys.modules.update(sphinx=None); from acg_lab.docs.__main__ import main; sys.exit(main(['build']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "pip install 'acg-lab[dev]'" in done.stderr
    assert issubclass(MissingExtraError, ImportError)


def run_docs(*arguments):
    command = [sys.executable, "-m", "acg_lab.docs", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.slow
@NEEDS_SPHINX
def test_the_site_builds(tmp_path):
    """The site builds without a warning, with outputs of notebooks and plots in both themes, and replaces an older."""
    out = tmp_path / "site"
    out.mkdir()
    (out / "objects.inv").write_text("of an earlier build", encoding="utf-8")
    (out / "left_over.html").write_text("old", encoding="utf-8")
    done = run_docs("build", "--out", out)
    assert done.returncode == 0, done.stderr
    for page in ("index", "glossary", "providers", "rules/planner", "gallery", "notebooks/1_explore", "api/acg_lab"):
        assert (out / f"{page}.html").is_file()
    pictures = {path.name for path in (out / "_images").iterdir()}
    assert {f"{name}-{theme}.png" for name in gallery.find_plots() for theme in ("light", "dark")} <= pictures
    assert "<img" in (out / "notebooks" / "1_explore.html").read_text(encoding="utf-8")
    assert not (out / "left_over.html").exists()
    assert (out / "objects.inv").read_bytes().startswith(b"# Sphinx inventory")


@pytest.mark.slow
@NEEDS_SPHINX
def test_a_warning_is_an_error(tmp_path, monkeypatch):
    """A page with a dead link fails the build, and the site that was there stays."""
    pages = tmp_path / "clone" / "acg_lab"
    shutil.copytree(ROOT / "acg_lab", pages, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("data", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / "clone" / folder)
    with (pages / "docs" / "glossary.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](nowhere.md)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "clone"))
    command = [sys.executable, "-m", "acg_lab.docs", "build", "--out", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=tmp_path / "clone", capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr
    assert not (tmp_path / "site").exists()
