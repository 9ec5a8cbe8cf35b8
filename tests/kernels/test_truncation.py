"""What truncated histories leave out is seen: in the loss, and in kernels that it does not show."""

import numpy as np
import pytest

import orderparam as op
from orderparam.kernels import CNN, MLP, Causal
from orderparam.kernels.theory import diagnosis


def solved(network, tolerance):
    positions = network.positions if isinstance(network, CNN) else 8
    data = op.data.gaussian(count=4, dimension=positions, seed=1)
    task = op.kernels.KernelEvolution(network, data, gamma0=1.0, learning_rate=0.3, steps=4)
    method = Causal(2048, 2, tolerance, accuracy=0.5)
    return op.solve(task, method, progress=False)


def moved(result, reference):
    """Largest relative change of a kernel, root mean square over time and entries."""
    found = []
    for name in ("Phi", "G"):
        gap = (result[name] - reference[name]).values
        axes = (0, 2, 3)
        size = np.sqrt(np.mean(reference[name].values ** 2, axis=axes))
        found.append(np.sqrt(np.mean(gap**2, axis=axes)) / size)
    return float(np.max(found))


@pytest.mark.parametrize(
    "network",
    [CNN(2, "tanh", shape=4), pytest.param(MLP(3, "tanh"), marks=pytest.mark.validate)],
)
def test_the_bias_of_kernels_is_reported(network):
    coarse, fine = solved(network, 1e-2), solved(network, 1e-5)
    bias = moved(coarse, fine)
    reported = coarse.diagnostics["kernel_truncation_bias"]
    assert 0.01 < bias < 2 * reported < 8 * bias
    if isinstance(network, CNN):  # neither the loss nor a coarser run shows it
        assert coarse.diagnostics["truncation_bias"] < 0.001
    assert fine.diagnostics["kernel_truncation_bias"] < reported / 5
    # It stands beside the kernels, and decides where it is above what was asked for.
    assert float(coarse["Phi_bias"].max()) > 5 * float(coarse["Phi_se"].max())
    verdict, said = diagnosis.judge(coarse.diagnostics, reported / 2)
    assert verdict is op.results.Verdict.ERROR_TOO_LARGE
    assert "truncation of histories: lower `tolerance`" in said
    assert diagnosis.judge(coarse.diagnostics, 2 * reported)[0].ok
