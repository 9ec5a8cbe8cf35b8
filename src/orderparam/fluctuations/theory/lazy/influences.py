"""What one neuron adds to kernels before training, and what that changes in other layers.

A neuron of layer l adds phi phi to Phi^l and g g to G^l, g = phi' z. Forward, a change of Phi^{m-1}
changes H^m and with it Phi^m and the slopes of layer m; backward, a change of G^{m+1} or of these
slopes changes G^m:

    dPhi^m = Phi'^m dH^m,   dG^m = dbehind^m slope^m + behind^m slope'^m dH^m

No response and no projection matters before training.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Lazy networks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.fluctuations.theory.lazy.neurons import Points
from orderparam.fluctuations.theory.lazy.start import Start
from orderparam.kernels import Network
from orderparam.numerics.activations import values_and_slopes

Kernels = Float[np.ndarray, "neuron layer sample sample"]


class Influences(NamedTuple):
    """Of each neuron on the kernels of all layers, on the tangent kernel, and on gamma0 f(0)."""

    Phi: Kernels
    G: Kernels
    ntk: Float[np.ndarray, "neuron sample sample"]
    output: Float[np.ndarray, "neuron sample"]


def influences_of(start: Start, network: Network, source: int, points: Points) -> Influences:
    """Influences of neurons of layer `source`, counted from 0."""
    layers = start.layers
    phi, slope = (np.asarray(a) for a in values_and_slopes(network.activation, points.h))
    g = slope * points.z
    dPhi = np.zeros((len(phi), len(layers), *start.gram.shape))
    dG = np.zeros_like(dPhi)
    dPhi[:, source] = phi[:, :, None] * phi[:, None, :] - layers[source].Phi
    bent = {source: g[:, :, None] * g[:, None, :] - layers[source].G}
    for m in range(source + 1, len(layers)):
        bends = layers[m].bends
        assert bends is not None
        dH = layers[m - 1].variance * dPhi[:, m - 1]
        dPhi[:, m] = bends[0](dH)
        bent[m] = layers[m].behind * bends[1](dH)
    behind = np.zeros_like(dG[:, 0])
    for m in reversed(range(len(layers))):
        dG[:, m] = behind * layers[m].slope + bent.get(m, 0.0)
        behind = layers[m - 1].variance * dG[:, m]
    last = source == len(layers) - 1
    output = phi * points.z if last else np.zeros_like(phi)
    return Influences(dPhi, dG, _tangent(start, network, dPhi, dG), output)


def _tangent(start: Start, network: Network, dPhi: Kernels, dG: Kernels) -> np.ndarray:
    """Changes of K = sum over l of G^{l+1} (Phi^l + bias)."""
    bias = float(network.biases)
    change = dG[:, 0] * (start.gram + bias) + dPhi[:, -1]
    for m, layer in enumerate(start.layers[:-1]):
        behind = start.layers[m + 1]
        change = change + dG[:, m + 1] * (layer.Phi + bias) + behind.G * dPhi[:, m]
    return change
