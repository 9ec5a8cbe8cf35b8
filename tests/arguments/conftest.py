"""The table runs in a process of its own, without the run-time checks of the other tests."""

collect_ignore = [
    *("alike.py", "masks.py", "pool.py", "registry.py", "registry_verbs.py", "rules.py"),
    "table.py",
]
