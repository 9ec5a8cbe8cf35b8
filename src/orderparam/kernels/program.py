"""Kernel evolution as an engine program: one text for every kind of space.

Fields and updates of a fully connected network in mean-field scaling (kernels.md sections 1-3):

    h^1 = u^1 + (eta gamma0/P) sum_s sum_nu Delta_nu(s) Phi^0_{mu nu} g^1_nu(s)
    h^{l+1} = W^l phi(h^l),   z^l = W^{lT} g^{l+1},   z^L = w,   g^l = phi'(h^l) z^l
    f = <w, phi^L> / gamma0
    W^l <- W^l + (eta gamma0/P) sum_nu Delta_nu g^{l+1}_nu phi(h^l_nu)^T / N
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from orderparam.engine import Layout, MatrixSpec, Program, State
from orderparam.engine.run import Fields, Observed
from orderparam.kernels.activations import Activation
from orderparam.kernels.problem import KernelEvolution


def layer(index: int) -> str:
    """Name of the space of hidden layer `index` (1 to L)."""
    return f"layer{index}"


def weight(index: int) -> str:
    """Name of the matrix from hidden layer `index` to `index + 1`."""
    return f"weight{index}"


def layout(weight_std: tuple[float, ...], response: bool = True) -> Layout:
    """Spaces and matrices of a network whose layers have the given weight standard deviations."""
    depth = len(weight_std)
    matrices = {
        weight(i): MatrixSpec(layer(i + 1), layer(i), weight_std[i] ** 2, response=response)
        for i in range(1, depth)
    }
    return Layout(tuple(layer(i) for i in range(1, depth + 1)), matrices)


def kernel_program(problem: KernelEvolution) -> "KernelProgram":
    """The program that trains `problem`."""
    gram = problem.data.gram()
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-12 * values[-1]
    root = problem.network.weight_std[0] * vectors[:, keep] * np.sqrt(values[keep])
    numbers = (root, gram, problem.data.y, problem.centered, problem.gamma0, problem.learning_rate)
    arrays = [jnp.asarray(np.asarray(number, dtype=float)) for number in numbers]
    return KernelProgram(problem.network.activation, problem.network.depth, *arrays)


class KernelProgram(Program):
    """Full-batch gradient descent on squared error, test inputs carried passively.

    Attributes:
        activation: Elementwise function.
        depth: Number of hidden layers L.
        root: Factor A of the input kernel, A A^T = sigma_0^2 Phi^0.
        input_kernel: Phi^0 over training, then test inputs.
        y: Training labels.
        centered: f(0) is subtracted when this is 1, not when it is 0.
        gamma0: Feature-learning strength.
        learning_rate: eta; the network trains with eta gamma0^2 N.
    """

    activation: Activation = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    root: Float[Array, "sample rank"]
    input_kernel: Float[Array, "sample sample"]
    y: Float[Array, " train"]
    centered: Float[Array, ""]
    gamma0: Float[Array, ""]
    learning_rate: Float[Array, ""]

    def start(self, state: State) -> State:
        """Draw the first-layer fields u^1 = A n and the readout w; f(0) is known after step 0."""
        state, n = state.normals(layer(1), self.root.shape[1])
        state = state.keep("h1", layer(1), self.root @ n)
        state, w = state.normals(layer(self.depth), 1)
        state = state.keep("w", layer(self.depth), w)
        state = state.keep("f0", None, jnp.zeros((1, self.input_kernel.shape[0])))
        return state

    def _forward(self, state: State) -> tuple[State, list[Array], list[Array]]:
        h, features = [state.vectors["h1"]], []
        for i in range(1, self.depth + 1):
            features.append(self.activation(h[-1]))
            if i < self.depth:
                state, image = state.mv(weight(i), features[-1])
                h.append(image)
        return state, h, features

    def _backward(self, state: State, h: list[Array]) -> tuple[State, list[Array], list[Array]]:
        z = [jnp.broadcast_to(state.vectors["w"], h[-1].shape)]
        g = [self.activation.derivative(h[-1]) * z[0]]
        for i in range(self.depth - 1, 0, -1):
            state, image = state.rmv(weight(i), g[0])
            z.insert(0, image)
            g.insert(0, self.activation.derivative(h[i - 1]) * image)
        return state, z, g

    def step(self, state: State, t: Int[Array, ""]) -> tuple[State, Observed, Fields]:
        """Forward, residual, backward, observe, then update all weights."""
        train = self.y.shape[0]
        state, h, phi = self._forward(state)
        w = state.vectors["w"]
        f = state.inner(layer(self.depth), w, phi[-1])[0] / self.gamma0
        f0 = jnp.where(t == 0, self.centered * f, state.vectors["f0"][0])
        f, state = f - f0, state.keep("f0", None, f0[None])
        state, z, g = self._backward(state, h)
        delta = self.y - f[:train]
        observed = self._observe(state, f, delta, phi, g)
        rate = self.learning_rate * self.gamma0 / train
        step = jnp.zeros(f.shape).at[:train].set(rate * delta)
        for i in range(1, self.depth):
            state = state.update(weight(i), step)
        state = state.keep("h1", layer(1), h[0] + self.input_kernel @ (step[:, None] * g[0]))
        state = state.keep("w", layer(self.depth), w + step[None] @ phi[-1])
        fields = {"h": h, "z": z, "phi": phi, "g": g}
        return state, observed, {name: jnp.stack(x) for name, x in fields.items()}

    def _observe(
        self, state: State, f: Array, delta: Array, phi: list[Array], g: list[Array]
    ) -> Observed:
        names = [layer(i) for i in range(1, self.depth + 1)]
        Phi = jnp.stack([state.inner(n, x, x) for n, x in zip(names, phi, strict=True)])
        G = jnp.stack([state.inner(n, x, x) for n, x in zip(names, g, strict=True)])
        below = jnp.concatenate([self.input_kernel[None], Phi])
        above = jnp.concatenate([G, jnp.ones_like(G[:1])])
        ntk = jnp.sum(below * above, axis=0)
        return {"f": f, "loss": jnp.mean(delta**2) / 2, "Phi": Phi, "G": G, "ntk": ntk}
