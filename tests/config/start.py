"""Run by the Python of a real runtime: say for each plugin document on stdin whether production takes it.

Reads a JSON list of documents; prints a JSON list with, for each, ``""`` if the runtime validates and starts with it,
else what it was refused for.
"""

import asyncio
import importlib
import json
import os
import sys


async def refusal(plugin, document):
    """Return why the runtime refuses a document, or can't start with it."""
    try:
        report = getattr(plugin, "validate_exact", plugin.validate)(document)
        diagnostics = report.get("config", report)["diagnostics"]
        if errors := [diagnostic for diagnostic in diagnostics if diagnostic["level"] == "error"]:
            return f"validate: {errors[0]['code']}: {errors[0]['message']}"
        if hasattr(plugin, "activate"):
            async with plugin.activate(document):
                return ""
        await plugin.initialize(document)
        clear = getattr(plugin, "clear_async", None)
        await clear() if clear else plugin.clear()
    except Exception as error:  # noqa: BLE001  # whatever the runtime raises is its verdict
        return f"{type(error).__name__}: {error}"
    return ""


async def main():
    """Answer for all documents, one after the other: a process has one configuration at a time."""
    plugin = importlib.import_module("nemo_relay").plugin
    documents = json.load(sys.stdin)
    sys.stdout.write(json.dumps([await refusal(plugin, document) for document in documents]))
    sys.stdout.flush()
    os._exit(0)  # native threads outlive the loop


if __name__ == "__main__":
    asyncio.run(main())
