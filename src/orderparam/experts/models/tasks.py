"""Data for the reference models: digits, and a stream of tokens made on the spot."""

# pyright: reportMissingImports=false

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from orderparam.data import digits


@dataclass(frozen=True)
class Task:
    """A supervised task held in memory.

    Args:
        inputs: Training inputs, one row each.
        labels: Class, or next tokens.
        test_inputs: Held-out inputs.
        test_labels: Their labels.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    test_inputs: torch.Tensor
    test_labels: torch.Tensor

    def batch(self, step: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch of a step: the same for every model that is trained with this seed."""
        generator = np.random.default_rng([seed, step])
        chosen = torch.from_numpy(generator.choice(len(self.inputs), size, replace=False))
        return self.inputs[chosen], self.labels[chosen]


def digits_task(train: int = 100, test: int = 60) -> Task:
    """Ten classes of handwritten digits with inputs of squared norm D = 64.

    Args:
        train: Training images per class.
        test: Test images per class; train + test is at most 174.
    """
    data = digits(classes=range(10), count=train, test_count=test)
    parts = (data.x, data.y, data.x_test, data.y_test)
    x, y, test_x, test_y = (torch.from_numpy(np.array(part, dtype=np.float32)) for part in parts)
    return Task(x, y.argmax(dim=1), test_x, test_y.argmax(dim=1))


def token_task(
    count: int = 512, test: int = 64, *, length: int = 32, vocabulary: int = 32, seed: int = 0
) -> Task:
    """Sequences of a Markov chain with a random sparse transition matrix.

    Args:
        count: Training sequences.
        test: Held-out sequences.
        length: Tokens that a model sees of each.
        vocabulary: Number of tokens.
        seed: Of the chain and of the sequences.
    """
    generator = np.random.default_rng(seed)
    transition = generator.dirichlet(np.full(vocabulary, 0.1), size=vocabulary)
    edges = np.cumsum(transition, axis=1)
    tokens = np.empty((count + test, length + 1), dtype=np.int64)
    tokens[:, 0] = generator.integers(vocabulary, size=len(tokens))
    for t in range(length):
        draws = generator.random(len(tokens))
        above = draws[:, None] > edges[tokens[:, t]]
        tokens[:, t + 1] = np.minimum(above.sum(axis=1), vocabulary - 1)
    sequences = torch.from_numpy(tokens)
    inputs, labels = sequences[:, :-1], sequences[:, 1:]
    return Task(inputs[:count], labels[:count], inputs[count:], labels[count:])


def cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over samples and positions."""
    return functional.cross_entropy(outputs.flatten(0, -2), labels.flatten())
