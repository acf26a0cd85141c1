"""Fixtures of the tests in a browser."""

from browser.fixtures import browser, folder, new_page, serve

__all__ = ["browser", "folder", "new_page", "serve"]
