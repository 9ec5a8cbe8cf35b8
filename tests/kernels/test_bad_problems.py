"""Whatever a problem is built from, it is accepted or refused by an error of the library."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import orderparam as op
from orderparam.errors import CapacityExceeded, OrderParamError
from orderparam.kernels import MLP, Batches, KernelEvolution, ResNet, StaticNTK

NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e-300, 1e300])
ARRAYS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4),
    elements=st.floats(-2, 2) | st.sampled_from([np.nan, np.inf, -1.0, 1.0]),
)
NETWORKS = st.sampled_from([MLP, ResNet])
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "gamma0": NUMBERS,
        "learning_rate": NUMBERS,
        "steps": st.integers(-2, 4),
        "centered": st.booleans(),
        "loss": st.sampled_from(["squared", "logistic", "softmax", "hinge", "huber", ""]),
        "momentum": NUMBERS,
        "weight_decay": NUMBERS,
        "schedule": st.lists(NUMBERS, max_size=4),
        "gradient_flow": st.booleans(),
    },
)


def built(kind, depth, std, x, y, chosen, size):
    """A problem with two steps unless said otherwise, and why the library refuses it."""
    try:
        batches = None if size is None else Batches(size)
        network = kind(depth, "erf", weight_std=std)
        data = op.data.from_arrays(x, y)
        return KernelEvolution(network, data, **{"steps": 2, "batches": batches, **chosen}), ""
    except OrderParamError as error:
        return None, str(error)


@settings(max_examples=120)
@given(
    NETWORKS, st.integers(-1, 3), NUMBERS, ARRAYS, ARRAYS, SETTINGS, st.none() | st.integers(-1, 5)
)
def test_a_problem_is_accepted_or_refused_in_a_sentence(kind, depth, std, x, y, chosen, size):
    problem, refusal = built(kind, depth, std, x, y, chosen, size)
    if problem is None:
        # A sentence that ends, and says more than that something is wrong.
        assert refusal.rstrip().endswith((".", "?"))
        assert len(refusal.split()) > 6
    else:
        assert problem.data.count >= 1
        assert np.isfinite([problem.gamma0, problem.learning_rate, *problem.rates()]).all()
        assert problem.gamma0 > 0
        assert op.estimate(problem, StaticNTK()).memory > 0


@settings(max_examples=12)
@given(ARRAYS, st.floats(0.01, 1e4), st.integers(1, 4))
def test_learning_rates_beyond_stability_end_in_typed_errors(x, rate, steps):
    x = np.atleast_2d(x)
    chosen = {"learning_rate": rate, "steps": steps}
    problem, _ = built(MLP, 1, 1.0, x, np.ones(len(x)), chosen, None)
    if problem is None:
        return
    try:
        solution = op.solve(problem, StaticNTK(), progress=False)
    except OrderParamError:
        return
    assert all(np.isfinite(solution[name]).all() for name in solution.variables)


def test_more_memory_than_there_is_is_refused_before_work():
    data = op.data.gaussian(count=400, dimension=8)
    problem = KernelEvolution(MLP(3, "tanh"), data, steps=2000)
    save = op.SavePlan(steps=2000, two_time=True)
    with pytest.raises(CapacityExceeded, match="GiB"):
        op.solve(problem, save=save, progress=False)
    with pytest.raises(CapacityExceeded, match="leave out two-time kernels"):
        op.simulate(problem, width=64, seeds=1, save=save, progress=False)
    assert not jax.config.read("jax_enable_x64")
