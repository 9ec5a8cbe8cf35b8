"""Packages that draw random numbers while they are imported, imported without a trace.

JAX draws the waiting times of its clusters from NumPy's global generator, rich its identifiers from
Python's. Whoever sets a seed and then imports this library has the same numbers afterwards.
"""

import random

import numpy as np

_states = random.getstate(), np.random.get_state()

import jax  # noqa: E402, F401
import rich.style  # noqa: E402, F401

random.setstate(_states[0])
np.random.set_state(_states[1])
