"""The scripts that made the fixtures need the exporters, each in an environment of its own."""

collect_ignore_glob = ["fixtures/*"]
