"""The first two steps of a network with one hidden layer at infinite width, by quadrature.

With one hidden layer the limit is a random process of a single neuron, (u, w) -> (h(t), w(t)),
and its averages after few steps are ordinary Gaussian integrals: a check that shares nothing with
the engine.
"""

import itertools

import numpy as np
from jaxtyping import Float

from orderparam.errors import UnsupportedCombination
from orderparam.numerics.activations import activation, values_and_slopes
from orderparam.results import Solution
from orderparam.support.settings import library_settings

LARGEST = 10**7
"""Points of the quadrature that are formed at once."""


def first_predictions(
    solution: Solution, steps: int = 2, nodes: int = 48
) -> Float[np.ndarray, "step sample"]:
    """Predictions of the training samples at steps 0 to `steps` by Gauss-Hermite quadrature.

    h_mu(t+1) = h_mu(t) + (eta gamma0 / P) sum_nu Delta_nu(t) Phi^0_{mu nu} w(t) phi'(h_nu(t)),
    w(t+1) = w(t) + (eta gamma0 / P) sum_nu Delta_nu(t) phi(h_nu(t)),
    f_mu(t) = E[w(t) phi(h_mu(t))] / gamma0, with h(0) = u ~ N(0, sigma^2 Phi^0), w(0) ~ N(0, 1).

    Args:
        solution: A theory with one hidden layer; its problem, labels and input kernel are used.
        steps: Number of updates.
        nodes: Nodes in each of the P + 1 directions.

    Returns:
        Predictions before each step and after the last.

    Raises:
        UnsupportedCombination: For deeper networks, other losses than the squared error, or too
            many samples for the quadrature.

    Cost: O(nodes^(P + 1)) time and memory.

    Source: Yang & Hu (2021), section 6; docs/theory/kernels.md, Two steps by quadrature.
    """
    problem = solution.problem
    count = problem["data"]["count"]
    plain = problem["network"]["depth"] == 1 and problem["loss"] == "squared"
    if not plain or nodes ** (count + 1) > LARGEST:
        raise UnsupportedCombination(
            "Two steps by quadrature need one hidden layer, squared error and at most "
            f"{int(np.log(LARGEST) / np.log(nodes)) - 1} samples; change the study."
        )
    kernel, y = _input_kernel(solution, count), solution["Delta"].values[0]
    points, weights = _grid(count + 1, nodes)
    h = problem["network"]["weight_std"][0] * np.linalg.cholesky(kernel) @ points[:count]
    w = points[count]
    phi = activation(problem["network"]["activation"])
    gamma0, rate = problem["gamma0"], problem["learning_rate"] / count
    values = []
    for _ in range(steps + 1):
        with library_settings():
            features, slopes = map(np.asarray, values_and_slopes(phi, h))
        values.append(features @ (weights * w) / gamma0)
        delta = rate * gamma0 * (y - values[-1])
        h = h + kernel @ (delta[:, None] * slopes * w)
        w = w + delta @ features
    return np.stack(values)


def _input_kernel(solution: Solution, count: int) -> Float[np.ndarray, "train train"]:
    """Phi^0 from K = G^1 Phi^0 + Phi^1, which holds for one hidden layer at every step."""
    ntk, Phi = solution["ntk"].values[0], solution["Phi"].values[0, 0]
    kernel = (ntk - Phi) / solution["G"].values[0, 0]
    return kernel[:count, :count]


def _grid(
    dimension: int, nodes: int
) -> tuple[Float[np.ndarray, "dimension point"], Float[np.ndarray, " point"]]:
    """Points and weights of the product rule for independent standard normals."""
    one, weight = np.polynomial.hermite_e.hermegauss(nodes)
    points = np.array(list(itertools.product(one, repeat=dimension))).T
    weights = np.array(list(itertools.product(weight / weight.sum(), repeat=dimension))).prod(1)
    return points, weights
