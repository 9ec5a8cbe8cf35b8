"""The tangent kernel of a network from its feature and gradient kernels."""

from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.kernels.model.network import Network


def tangent_kernel(
    network: Network,
    input_kernel: Float[Any, "sample sample_"],
    Phi: Float[Any, "*lead layer sample sample_"],
    G: Float[Any, "*lead layer field field_"],
) -> Float[Any, "*lead field field_"]:
    """K = sum_{l=0}^{L} r_l G^{l+1} (Phi^l + bias), the kernel of gradient flow on predictions.

    `Phi^0 = x.x/D` and `G^{L+1} = 1` between equal outputs. Biases add 1 to `Phi^0 ... Phi^{L-1}`;
    layers behind residual branches have `r_l = 1/L`, all others 1. With C outputs the rows of `G`
    and K are samples times outputs, outputs fastest. Takes NumPy and JAX arrays.

    Source: Bordelon & Pehlevan (2022), section 2; docs/theory/kernels.md, Tangent kernel.
    """
    bias = 1.0 if network.biases else 0.0
    inside = network.branch_rate * network.branch_scale**2
    fields, outputs = G.shape[-1], G.shape[-1] // Phi.shape[-1]
    output = np.arange(fields) % outputs

    def spread(kernel: Any) -> Any:
        return kernel if outputs == 1 else kernel.repeat(outputs, -2).repeat(outputs, -1)

    total = G[..., 0, :, :] * spread(input_kernel + bias)
    for i in range(1, network.depth):
        total = total + inside * G[..., i, :, :] * spread(Phi[..., i - 1, :, :] + bias)
    return total + spread(Phi[..., -1, :, :]) * np.equal.outer(output, output)
