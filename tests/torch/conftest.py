"""Tests of what needs PyTorch; `make test-torch` installs it and runs them."""

import importlib.util

# Without PyTorch these files cannot even be imported; `make test` runs without it on purpose.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*.py"]
