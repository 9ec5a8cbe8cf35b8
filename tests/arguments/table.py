"""Run the table and print what failed, as JSON.

    python tests/arguments/table.py fast | all | CASE ...

Runs in a process of its own, so that the library is used as its users do: other tests check types
at run time and would see wrong values first.
"""

import json
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import alike
import jax
import masks
import registry
import rules
from case import Case
from pool import Value, pool

from orderparam.errors import InvalidProblem, OrderParamError

SECONDS = 10
"""After which one call counts as failed."""


VERY_DEAR = 60
"""Cases of which `fast` tries only values that must be refused."""


class TooLong(BaseException):
    """A call did not end."""


def main(wanted: list[str]) -> dict[str, Any]:
    """Try every value for every argument of the wanted cases."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))
    signal.signal(signal.SIGALRM, _ring)
    values, failures, tried, spent = pool(), [], 0, {}
    cases = registry.cases()
    fast, everything = wanted == ["fast"], wanted in (["fast"], ["all"])
    for case in cases:
        if not everything and case.name not in wanted:
            continue
        began = time.process_time()
        if not fast or case.dear < VERY_DEAR:
            failures += _base_fails(case)
        for place, argument in enumerate(rules.arguments(case)):
            right = rules.allowed(case, argument)
            for number, value in enumerate(values):
                refused = rules.must_refuse(value.tags, right)
                if fast and not _in_sample(case, refused, number + 7 * place):
                    continue
                tried += 1
                failures += _try(case, argument, value, refused)
        spent[case.name] = round(time.process_time() - began, 2)
    failures += _leaks()
    if everything:
        failures += [*alike.differences(cases), *alike.oversized(), *masks.accepted(cases)]
    return {
        "values": len(values),
        "cases": [case.name for case in cases],
        "tried": tried,
        "seconds": spent,
        "failures": failures,
    }


def _in_sample(case: Case, refused: bool, number: int) -> bool:
    """Whether `fast` tries a value: all of them where calls are cheap, fewer where they are not."""
    if case.dear >= VERY_DEAR:
        return refused and number % 2 == 0
    return number % case.dear == 0


def _ring(*_: Any) -> None:
    raise TooLong


def _base_fails(case: Case) -> list[Any]:
    try:
        case.call(**case.base)
    except OrderParamError as error:
        needs_torch = type(error).__name__ == "MissingExtra"
        return [] if needs_torch else [[case.name, "", "base call", repr(error)]]
    except Exception as error:
        return [[case.name, "", "base call", repr(error)]]
    return []


def _try(case: Case, argument: str, value: Value, refused: bool) -> Iterator[Any]:
    """What is wrong with the outcome of one call."""
    said = ""
    began = time.perf_counter()
    signal.alarm(SECONDS)
    try:
        case.call(**{**case.base, argument: value.make()})
        if refused:
            said = "accepted"
    except OrderParamError as error:
        said = _sentence(str(error), case.said.get(argument, argument), refused, error)
    except TooLong:
        said = "did not end"
    except BaseException as error:
        said = f"{type(error).__name__}: {str(error)[:100]}"
    finally:
        signal.alarm(0)
    if not said and time.perf_counter() - began > SECONDS / 2:
        said = "took long"
    if said:
        yield [case.name, argument, value.name, said]


def _sentence(text: str, argument: str, refused: bool, error: Exception) -> str:
    """What is wrong with a message: it has one line, names the argument and says what to do."""
    if "\n" in text:
        return f"line break: {text[:100]!r}"
    if not refused:
        return ""
    if type(error).__name__ == "MissingExtra":
        return ""
    if f"`{argument}`" not in text and f"`{argument}[" not in text:
        return f"does not name the argument: {type(error).__name__}: {text[:160]}"
    if not isinstance(error, InvalidProblem):
        return f"{type(error).__name__}: {text[:160]}"
    if "; " not in text and ". " not in text.rstrip():
        return f"no advice: {text[:160]}"
    return ""


def _leaks() -> list[Any]:
    return (
        [["", "", "", "float64 is left switched on"]] if jax.config.read("jax_enable_x64") else []
    )


if __name__ == "__main__":
    named = {"left_out": registry.LEFT_OUT}
    print(json.dumps(named if sys.argv[1:] == ["names"] else main(sys.argv[1:])))
