"""What is learned: nothing, it decays."""

from typing import ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Problem
from orderparam.errors import InvalidProblem

STEPS = 8


class Scale(eqx.Module):
    value: float = 1.0


class Decay(Problem):
    family: ClassVar[str] = "toy"
    scale: Scale
    rate: float = 0.5
    steps: int = STEPS

    def __check_init__(self):
        if self.rate <= 0:
            raise InvalidProblem(f"Argument `rate` must be positive, but is {self.rate}; raise it.")

    def curve(self):
        return self.scale.value * np.exp(-self.rate * np.arange(self.steps))

    def config(self):
        return {"rate": self.rate, "scale": self.scale.value, "steps": self.steps}
