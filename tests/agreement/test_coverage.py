"""Error bars of kernel evolution cover the limit as often as they say, over 200 seeds."""

import numpy as np
import pytest
from scipy import special

import orderparam as op

SEEDS = 200
NAMES = ("loss", "f", "Phi", "G", "ntk")
LEVEL = 0.95
PROBLEMS = [("tanh", 2, 1.0), ("relu_normalized", 2, 1.0), ("tanh", 4, 2.0)]
METHOD = op.kernels.Causal(512, 4, tolerance=1e-2, accuracy=10.0)


def problem(activation, depth, gamma0):
    data = op.data.gaussian(count=4, dimension=8, seed=1)
    network = op.kernels.MLP(depth, activation)
    return op.kernels.KernelEvolution(network, data, gamma0=gamma0, learning_rate=0.2, steps=20)


def interval(solution, name):
    """Half the width of the interval of nominal level.

    Student's t for the spread of replicates; the known bias is a bound, which no quantile widens.
    """
    dataset = solution.dataset
    spread = dataset[f"{name}_se"].values * special.stdtrit(METHOD.replicates - 1, 0.5 + LEVEL / 2)
    return np.hypot(spread, dataset[f"{name}_bias"].values)


@pytest.mark.validate
@pytest.mark.parametrize(("activation", "depth", "gamma0"), PROBLEMS)
def test_intervals_cover_as_often_as_they_say(activation, depth, gamma0):
    task = problem(activation, depth, gamma0)
    accurate = op.kernels.Causal(16384, 4, tolerance=1e-3, accuracy=1.0)
    truth = op.solve(task, accurate, seed=999, progress=False)
    covered = {name: [] for name in NAMES}
    for seed in range(SEEDS):
        solution = op.solve(task, METHOD, seed=seed, progress=False)
        for name in NAMES:
            away = np.abs(solution[name].values - truth[name].values)[1:]
            covered[name].append(np.mean(away <= interval(solution, name)[1:]))
    shares = {name: float(np.mean(shares)) for name, shares in covered.items()}
    assert all(0.91 <= share <= 0.98 for share in shares.values()), shares
