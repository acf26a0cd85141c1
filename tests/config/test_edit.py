"""Where a new value goes in TOML text."""

import pytest

from acg_lab.config.toml_edit import Document


def edited(text, path, value="3"):
    document = Document(text)
    document.set(path, value)
    return str(document)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[a]\nx = 1\n# of a\n\n# of b\n[b]\n", "[a]\nx = 1\n# of a\n\n[a.c]\nz = 3\n\n# of b\n[b]\n"),
        ("[a]\nx = 1\n# of b\n[b]\n", "[a]\nx = 1\n\n[a.c]\nz = 3\n# of b\n[b]\n"),
        ("[a]\n# of a\n\n[b]\n", "[a]\n# of a\n\n[a.c]\nz = 3\n\n[b]\n"),
        ("[b]\n[a]\nx = 1\n# the end", "[b]\n[a]\nx = 1\n# the end\n\n[a.c]\nz = 3\n"),
        ("[a]\r\nx = 1\r\n", "[a]\r\nx = 1\r\n\r\n[a.c]\r\nz = 3\r\n"),
        ("[a]\n[a.b]\n[d]\n", "[a]\n[a.b]\n\n[a.c]\nz = 3\n[d]\n"),
    ],
)
def test_a_new_table(before, after):
    """It goes after its relatives; comments right above the next header stay there, those a blank line ends do not."""
    assert edited(before, ("a", "c", "z")) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = {}", "a = { c = { z = 3 } }"),
        ("a = { }", "a = { c = { z = 3 } }"),
        ("a = { x = 1 } # why", "a = { x = 1, c = { z = 3 } } # why"),
        ("a = { c = {} }", "a = { c = { z = 3 } }"),
        ("a = { c.y = 1, x = 2 }", "a = { c.y = 1, c.z = 3, x = 2 }"),
        ("a.c.y = 1\na.x = 2\n", "a.c.y = 1\na.c.z = 3\na.x = 2\n"),
        ("[a]\nc.y = 1 # why\n\n[b]", "[a]\nc.y = 1 # why\nc.z = 3\n\n[b]"),
        ("[a]\nc = {z = 1 }", "[a]\nc = {z = 3 }"),
        ("[a.c]\n  y = 1", "[a.c]\n  y = 1\n  z = 3"),
    ],
)
def test_a_new_value_among_its_siblings(before, after):
    """It is written as its siblings are: into their inline table, below their header, or as a dotted key."""
    assert edited(before, ("a", "c", "z")) == after


def test_components_are_counted_alone():
    """An array of tables within a component is not another component."""
    before = "[[components]]\n[[components.x]]\n[[components.x]]\n[components.config]\ny = 1\n[[components]]\n"
    after = before.replace("y = 1\n", "y = 1\nz = 3\n")
    assert edited(before, ("components", 0, "config", "z")) == after


@pytest.mark.parametrize(
    ("before", "after"), [("a = []", "a = [ 3 ]"), ("a = [1, 2]", "a = [1, 2, 3]"), ("b = []", None)]
)
def test_a_new_member(before, after):
    """It goes after the last one of the array; where there is none, nothing changes."""
    document = Document(before)
    assert document.append_member(("a",), "3") == (after is not None)
    assert str(document) == (after or before)
