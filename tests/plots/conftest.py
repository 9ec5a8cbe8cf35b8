"""A small theory and the networks that fluctuate around it."""

import numpy as np
import pytest

from orderparam.results import Coordinate, Pair, Variable, Verdict, build_solution

T, L, P, S = 5, 2, 6, 8
WIDTHS = (64, 256, 1024)
SEEDS = 4
DIMS = {
    "loss": ("time",), "alignment": ("time",), "Phi_alignment": ("time", "layer"),
    "f": ("time", "sample"), "Delta": ("time", "train"), "ntk": ("time", "sample", "sample_"),
    "Phi": ("time", "layer", "sample", "sample_"), "G": ("time", "layer", "sample", "sample_"),
    "h": ("field_time", "layer", "sample", "neuron"),
}  # fmt: skip
SIZES = {
    "time": T,
    "layer": L,
    "sample": S,
    "sample_": S,
    "train": P,
    "field_time": 2,
    "neuron": 90,
}
# Classes alternate, so that ordering by class is a change of order.
Y = np.where(np.arange(P) % 2 == 0, -1.0, 1.0)


def _coordinates():
    one = {name: np.arange(size) for name, size in SIZES.items() if name != "neuron"}
    one |= {"layer": np.arange(1, L + 1), "field_time": np.array([0, T - 1])}
    coords = {name: Coordinate((name,), values, name) for name, values in one.items()}
    coords["eta_t"] = Coordinate(("time",), 0.1 * np.arange(T), "time")
    split = np.where(np.arange(S) < P, "train", "test")
    coords["split"] = Coordinate(("sample",), split, "split")
    return coords


def _solution(kind, variables, coords):
    problem = {
        "network": {"kind": "MLP", "depth": L, "activation": "relu_normalized"},
        "learning_rate": 0.1,
    }
    return build_solution(
        variables, coords, family="kernels", kind=kind, problem=problem, method={"replicates": 8},
        seed=0, verdict=Verdict.CONVERGED, message="", diagnostics={}, precision="float64",
        device="cpu", wall_time=0.0, compile_time=None, sources=["bordelon2022"],
    )  # fmt: skip


def make_pair(label="$\\gamma_0 = 1$", networks=True, power=0.5, bias=0.0):
    """Networks whose relative deviation falls as width to the minus `power`, plus a bias."""
    rng = np.random.default_rng(1)
    values = {
        name: 1 + rng.uniform(size=[SIZES[dim] for dim in dims]) for name, dims in DIMS.items()
    }
    values["Delta"] = Y - values["f"][:, :P]
    theory = {
        name: Variable(DIMS[name], array, name, name, se=1e-6 * np.ones_like(array))
        for name, array in values.items()
    }
    pair = Pair(_solution("theory", theory, _coordinates()), None, label)
    if not networks:
        return pair
    runs = {}
    for name, array in values.items():
        if name == "h":
            runs[name] = Variable(DIMS[name], array, name)
            continue
        noise = rng.standard_normal((len(WIDTHS), SEEDS, *array.shape))
        size = np.array(WIDTHS, dtype=float).reshape(-1, *[1] * (array.ndim + 1))
        measured = array * (1 + 0.1 * noise * size**-power + bias / size)
        measured[-1, -1] = np.nan
        runs[name] = Variable(("width", "seed", *DIMS[name]), measured, name)
    valid = np.ones((len(WIDTHS), SEEDS), bool)
    valid[-1, -1] = False
    runs["run_valid"] = Variable(("width", "seed"), valid, "ran")
    coords = _coordinates() | {
        "width": Coordinate(("width",), np.array(WIDTHS), "width"),
        "seed": Coordinate(("seed",), np.arange(SEEDS), "seed"),
    }
    return Pair(pair.theory, _solution("experiment", runs, coords), label)


@pytest.fixture
def pair_of():
    """Makes pairs."""
    return make_pair
