"""A family outside the package that costs nothing: exponential decay.

Made by following docs/families.md, and registered by its own import.
"""

from orderparam.families import register
from toy_family.family import FAMILY
from toy_family.glossary import calls
from toy_family.methods.formula import Formula
from toy_family.problem import STEPS, Decay, Scale

__all__ = ["STEPS", "Decay", "Formula", "Scale", "calls"]
TOY = """\
name = "toy"
title = "A decay"
claim = "It decays."
time_needed = "none"
figures = ["curve", "each", "impossible"]

[problem]
family = "toy"
kind = "Decay"
rate = 0.5

[problem.scale]
kind = "Scale"
value = 2.0

[vary]
"problem.rate" = [0.5, 1.0]

[theory]
method = "formula"

[experiment]
width = [64, 128, 256]
seeds = 6

[quick]
"experiment.width" = [64, 128]
"""

register(FAMILY)
