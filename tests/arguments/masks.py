"""Every argument that takes an array, given masked ones; prints what was not refused, as JSON."""

import contextlib
import json
from collections import UserList

import numpy as np
from registry import cases

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


def arguments():
    """Every argument of the library that takes numbers in an array."""
    for case in cases():
        for name, base in case.base.items():
            with contextlib.suppress(Exception):
                found = np.asarray(base)
                if found.dtype.kind in "iuf" and found.size and found.ndim and not case.holds:
                    yield case, name, found


def main():
    tried, wrong = 0, []
    for case, name, base in arguments():
        for number, value in enumerate(masked(base)):
            tried += 1
            try:
                case.call(**{**case.base, name: value})
            except OrderParamError:
                continue
            except Exception as error:
                wrong.append(f"{case.name}, {name}, way {number}: {error!r}")
            else:
                wrong.append(f"{case.name}, {name}, way {number}: accepted")
    print(json.dumps({"tried": tried, "wrong": wrong}))


if __name__ == "__main__":
    main()
