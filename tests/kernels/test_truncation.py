"""What truncated histories leave out is seen and judged."""

import numpy as np
import pytest

import orderparam as op
from orderparam.kernels import MLP, Causal
from orderparam.kernels.theory import diagnosis


def solved(network, tolerance):
    data = op.data.gaussian(count=4, dimension=8, seed=1)
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
    [MLP(3, "tanh"), pytest.param(MLP(3, "relu_normalized"), marks=pytest.mark.validate)],
)
def test_the_bias_of_kernels_is_reported(network):
    coarse, fine = solved(network, 1e-1), solved(network, 1e-4)
    bias = moved(coarse, fine)
    reported = coarse.diagnostics["kernel_truncation_bias"]
    assert 0.01 < bias < reported < 4 * bias
    assert fine.diagnostics["kernel_truncation_bias"] < reported / 3
    # It stands beside the kernels, and decides where it is above what was asked for.
    assert float(coarse["Phi_bias"].max()) > 2 * float(coarse["Phi_se"].max())
    verdict, said = diagnosis.judge(coarse.diagnostics, reported / 2)
    assert verdict is op.results.Verdict.ERROR_TOO_LARGE
    assert "truncation of histories: lower `tolerance`" in said
    assert diagnosis.judge(coarse.diagnostics, 2 * reported)[0].ok
