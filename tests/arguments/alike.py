"""NumPy numbers give what Python numbers give; sizes that no memory holds are refused."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import registry_kernels
import registry_mixtures
import registry_online
import rules
from case import Case

import orderparam as op
from orderparam.errors import CapacityExceeded

FORMS: dict[type, list[Callable[[Any], Any]]] = {
    bool: [np.bool_, np.array, jnp.asarray],
    int: [np.int64, np.int32, np.uint16, np.array, lambda v: jnp.asarray(v, "int32")],
    float: [np.float64, np.array, np.longdouble],
    str: [np.str_, np.array],
}


def differences(cases: list[Case]) -> Iterator[list[str]]:
    """Each argument in turn in all forms of its usual value."""
    for case in cases:
        if case.holds or case.dear > 1:
            continue
        usual = case.call(**case.base) if not _needs_torch(case) else None
        for argument in rules.arguments(case):
            value = case.base.get(argument, rules.default(case, argument))
            for form in FORMS.get(type(value), []) if usual is not None else []:
                try:
                    found = case.call(**{**case.base, argument: form(value)})
                except Exception as error:
                    yield [case.name, argument, repr(form(value)), f"{error!r}"[:200]]
                    continue
                if not _same(usual, found):
                    yield [case.name, argument, repr(form(value)), "gives something else"]


def _needs_torch(case: Case) -> bool:
    return case.name in ("experts.coordinate_check", "experts.learning_rate_transfer",
                         "experts.torch_plan")  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    """Equal, with plain numbers of equal types where the arguments are kept."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, eqx.Module):
        names = [name for name in type(one).__dataclass_fields__]
        return all(_same(getattr(one, n), getattr(other, n)) for n in names)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=True))
    if hasattr(one, "__dict__"):
        return repr(one) == repr(other)
    return bool(one == other or one != one)


def sizes() -> dict[str, Callable[[], Any]]:
    """Calls that no memory holds."""
    k, m, o, many = op.kernels, op.mixtures, op.online, 10**12
    descent, lesson, classifier = (
        registry_kernels.descent(),
        registry_online.lesson(),
        registry_mixtures.classifier(),
    )
    quiet = {"progress": False}
    return {
        "gaussian": lambda: op.data.gaussian(count=many, dimension=4),
        "dimension": lambda: op.data.gaussian(count=4, dimension=many),
        "test_count": lambda: op.data.gaussian(count=4, dimension=4, test_count=many),
        "teacher": lambda: op.data.teacher(count=many, dimension=4),
        "cosine": lambda: k.cosine(many),
        "steps": lambda: k.KernelEvolution(k.MLP(1), registry_kernels.points(), steps=many),
        "Causal": lambda: k.Causal(samples=many),
        "capacity": lambda: k.Causal(capacity=many),
        "Alternating": lambda: k.Alternating(samples=64 * many),
        "width": lambda: op.simulate(_deep(), width=[400_000], seeds=1, **quiet),
        "runs": lambda: op.simulate(descent, width=8, seeds=many, **quiet),
        "SaddlePoint": lambda: m.SaddlePoint(nodes=10**9),
        "StateEvolution": lambda: m.StateEvolution(nodes=10**9),
        "EngineEvolution": lambda: m.EngineEvolution(samples=2**40),
        "SampledWeights": lambda: m.SampledWeights(draws=many),
        "isotropic": lambda: m.isotropic(10**9),
        "anisotropic": lambda: m.anisotropic(10**9),
        "power_law": lambda: m.power_law(many),
        "classifiers": lambda: op.simulate(classifier, dimension=10**7, seeds=1, **quiet),
        "messages": lambda: m.MessagePassing(registry_mixtures.mixture(), steps=many),
        "random_overlaps": lambda: o.random_overlaps(2, 1, 100, draws=many),
        "students": lambda: o.random_overlaps(10**9, 1, many),
        "Influence": lambda: op.fluctuations.Influence(samples=2**45),
        "LayeredInfluence": lambda: op.fluctuations.LayeredInfluence(samples=2**45),
        "RoundedInfluence": lambda: op.fluctuations.RoundedInfluence(samples=2**45),
        "Lazy": lambda: op.fluctuations.Lazy(samples=2**45),
        "SharedSeeds": lambda: op.fluctuations.SharedSeeds(width=many),
        "OverlapODE": lambda: o.OverlapODE(samples=2**45),
        "students trained": lambda: op.simulate(lesson, dimension=many, seeds=1, **quiet),
        "experts": lambda: op.experts.coordinate_check(lambda *a: None, seeds=many),
    }


def _deep() -> Any:
    return op.kernels.KernelEvolution(op.kernels.MLP(2), registry_kernels.points(), steps=2)


def oversized() -> Iterator[list[str]]:
    """Each such call is refused within a second, before any work."""
    for name, call in sizes().items():
        began = time.perf_counter()
        try:
            call()
        except CapacityExceeded:
            if time.perf_counter() - began > 1:
                yield [name, "", "too large", "took longer than a second"]
        except BaseException as error:
            yield [name, "", "too large", repr(error)[:200]]
        else:
            yield [name, "", "too large", "accepted"]
