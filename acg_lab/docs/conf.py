"""How Sphinx builds the site: read by ``python -m acg_lab.docs build``, which collects the sources first."""

import acg_lab

project = "acg_lab"
project_copyright = "the acg_lab contributors, Apache-2.0"
version = release = acg_lab.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb"]
templates_path = ["_templates"]
default_role = "py:obj"  # `name` in a docstring is a link where the name is public, else plain code

autodoc_typehints = "none"  # numpydoc's sections say the types
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_imported_members = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the repository keeps notebooks with outputs
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = "acg_lab"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars: dict[str, list[str]] = {"index": [], "glossary": []}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "acg_lab"},
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
