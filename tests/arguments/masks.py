"""A mask is never dropped: every argument that takes an array is given masked ones."""

import contextlib
from collections import UserList
from collections.abc import Iterator

import numpy as np
from case import Case

from orderparam.errors import OrderParamError


class Wrapped:
    """Another library's array, which NumPy reads by asking it."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def masked(base):
    """The same numbers, the first one masked, in all the ways in which they can be given."""
    array = np.ma.array(base)
    array[(0,) * array.ndim] = np.ma.masked
    yield array
    yield Wrapped(array)
    yield np.ma.array(base)  # a mask that hides nothing today may hide something tomorrow
    if array.ndim:
        yield list(array)
        yield tuple(array)
        yield UserList(array)
        yield [np.ma.array(array[0], mask=True), *array[1:]]
    if array.ndim > 1:
        yield [list(row) for row in array]
        yield [np.ma.array(base)[0], *np.array(base)[1:]]


def accepted(cases: list[Case]) -> list[list[str]]:
    """What was given a mask and did not refuse it: case, argument, way, outcome."""
    found = []
    for case, name, base in _arguments(cases):
        for number, value in enumerate(masked(base)):
            try:
                case.call(**{**case.base, name: value})
            except OrderParamError:
                continue
            except Exception as error:
                found.append([case.name, name, f"mask {number}", repr(error)])
            else:
                found.append([case.name, name, f"mask {number}", "accepted"])
    return found


def _arguments(cases: list[Case]) -> Iterator[tuple[Case, str, np.ndarray]]:
    """Every argument that takes numbers in an array."""
    for case in cases:
        for name, base in case.base.items():
            with contextlib.suppress(Exception):
                found = np.asarray(base)
                if found.dtype.kind in "iuf" and found.size and found.ndim and not case.holds:
                    yield case, name, found
