"""Many directions of data: gradient descent on the population loss, as whitened samples.

With f = beta . x, isotropic inputs and a teacher along the first axis, the loss |beta* - beta|^2/2
is that of P = D orthogonal samples x_mu = sqrt(D) e_mu with labels (1, 0, ..., 0) at P times the
learning rate, and f_mu = beta_mu.

Source: docs/theory/fluctuations.md, Many directions.
"""

import numpy as np
import pytest

import orderparam as op

QUIET = {"progress": False}


def population(dimension, gamma0, rate, steps, activation="linear"):
    labels = np.eye(dimension)[0]
    data = op.data.Data(np.sqrt(dimension) * np.eye(dimension), labels)
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, activation), data, gamma0=gamma0, learning_rate=dimension * rate,
        steps=steps, centered=False,
    )  # fmt: skip
    return op.fluctuations.FiniteWidth(evolution)


def closed_forms(gamma0, rate, steps):
    """beta_1 of the limit, and N Var along the teacher and across it.

    Along it f and K of one sample close under a step at every width. Across it
    Sigma = (1 - J)^{-1} kappa (1 - J)^{-T} with J_ts = -eta (<a_t a_s> + R_ts) and
    kappa_ts = <a_t a_s>/gamma0^2, R_ts = (U_t U_{s+1}^{-1})_aa.
    """
    beta, K, tangent = 0.0, 2.0, np.eye(2)
    variance, limit, U = [], [], [np.eye(2)]
    for _ in range(steps):
        variance.append(tangent[0] ** 2 @ [1 / gamma0**2, 4.0])
        limit.append(beta)
        d, bent = 1 - beta, (rate * gamma0) ** 2
        slope = np.array([
            [1 - rate * K + bent * (d**2 - 2 * beta * d), rate * d],
            [4 * bent / rate * (d - beta) - 2 * bent * d * K, 1 + bent * d**2],
        ])  # fmt: skip
        U.append((np.eye(2) + rate * gamma0 * d * np.array([[0.0, 1.0], [1.0, 0.0]])) @ U[-1])
        beta, K = (
            beta + rate * K * d + bent * beta * d**2,
            K + 4 * bent / rate * beta * d + bent * d**2 * K,
        )
        tangent = slope @ tangent
    aa = np.array([[(U[t] @ U[s].T)[0, 0] for s in range(steps)] for t in range(steps)])
    R = [[(U[t] @ np.linalg.inv(U[s + 1]))[0, 0] for s in range(steps)] for t in range(steps)]
    inverse = np.linalg.inv(np.eye(steps) + rate * np.tril(aa + np.array(R), -1))
    across = np.diagonal(inverse @ (aa / gamma0**2) @ inverse.T)
    return np.array(limit), np.array(variance), across


def test_each_axis_has_its_variance():
    """Claim 12: N sum_k Var beta_k = Sigma_parallel + (D - 1) Sigma_perp, exactly."""
    dimension, gamma0, rate, steps = 3, 1.3, 0.15, 8
    method = op.fluctuations.Influence(nodes=5, shift=False)
    theory = op.solve(population(dimension, gamma0, rate, steps), method, **QUIET)
    limit, along, across = closed_forms(gamma0, rate, steps)
    f, nvar = theory["f"].values, theory["f_nvar"].values
    np.testing.assert_allclose(f[:, 0], limit, atol=1e-12)
    np.testing.assert_allclose(f[:, 1:], 0.0, atol=1e-12)
    np.testing.assert_allclose(nvar[:, 0], along, atol=1e-12)
    np.testing.assert_allclose(nvar[:, 1:], np.stack([across, across], axis=1), atol=1e-12)
    total = along + (dimension - 1) * across
    np.testing.assert_allclose(nvar.sum(axis=1), total, atol=1e-12)
    assert np.abs(across - along).max() > 0.05


@pytest.mark.validate
@pytest.mark.parametrize(("dimension", "width", "gamma0"), [(6, 128, 1.0), (20, 256, 2.0)])
def test_networks_scatter_along_each_axis(dimension, width, gamma0):
    """Claim 12 against networks, and the mean loss with its part of order D/N."""
    rate, steps = 0.05, 40
    posed = population(dimension, gamma0, rate, steps)
    networks = op.simulate(posed, width=width, seeds=2000, **QUIET).dataset.isel(width=0)
    limit, along, across = closed_forms(gamma0, rate, steps)
    measured = networks["f_nvar"].mean("seed").values
    for found, known in ((measured[:, 0], along), (measured[:, 1:].mean(axis=1), across)):
        assert np.linalg.norm(found - known) < 0.08 * np.linalg.norm(known)
    loss = dimension * networks["mse"].mean("seed").values
    wide = (1 - limit) ** 2
    scattered = wide + (along + (dimension - 1) * across) / width
    apart = [np.linalg.norm(loss - one) for one in (wide, scattered)]
    assert apart[1] < apart[0] / 2
