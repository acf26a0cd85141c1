"""Pages for people who work on acg_lab or want its rules in full, and the site made of them.

The pages are Markdown and read as well on a repository page as on the site. ``python -m acg_lab.docs build`` makes the
site: the pages, the API reference from docstrings, the notebooks, and a gallery of every plot.
"""
