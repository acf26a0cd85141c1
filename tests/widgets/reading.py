"""Read what the tuner displays from its widgets."""

import re
from html import unescape


def shown(html):
    """Return the text of HTML."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def cards(tuner):
    """Return the texts of the tiles by name and part."""
    found = {}
    for name, inner in re.findall(r'data-name="(\w+)"(.*?)(?=data-name=|$)', tuner._numbers.value, re.DOTALL):
        found[name] = {part: unescape(text) for part, text in re.findall(r'data-part="(\w+)"[^>]*>([^<]*)<', inner)}
        found[name]["below"] = shown(re.search(r'class="acg-below">(.*?)</div>', inner, re.DOTALL)[1])
    return found


def parts(widget):
    """Yield a widget and everything in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)
