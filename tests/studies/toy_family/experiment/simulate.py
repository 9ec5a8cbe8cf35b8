"""Decays with noise of order 1/sqrt(width)."""

import numpy as np

from orderparam.errors import Diverged
from orderparam.results import Coordinate, Variable
from toy_family.glossary import pack


def simulate(problem, size, seeds, save, seed, *, precision, progress):
    if problem.rate > 100:
        raise Diverged("The loss diverged at step 1; lower the rate.")
    width = np.array(size)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((width.size, seeds, 1)) / np.sqrt(width)[:, None, None] / 50
    runs = problem.curve() * (1 + noise)
    variables = {
        "loss": Variable(("width", "seed", "time"), runs, "loss"),
        "run_valid": Variable(("width", "seed"), np.ones((width.size, seeds), bool), "ran"),
    }
    coords = {
        "width": Coordinate(("width",), width, "width"),
        "seed": Coordinate(("seed",), np.arange(seeds), "seed"),
    }
    return pack(problem, {"precision": precision}, "experiment", seed, variables, coords)
