"""Data from the user's own arrays, or from a `.npz` or `.csv` file."""

import csv
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from orderparam.data.dataset import Data
from orderparam.data.normalise import NORMALISATIONS, normalise
from orderparam.errors import CorruptFile, InvalidProblem
from orderparam.support.arguments import checked_path, integer, is_there, one_of, text
from orderparam.support.keywords import known_keywords

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]  # x, y, and for test


@known_keywords
def from_arrays(
    x: ArrayLike | Sequence[Any],
    y: ArrayLike | Sequence[Any],
    x_test: ArrayLike | Sequence[Any] | None = None,
    y_test: ArrayLike | Sequence[Any] | None = None,
    normalisation: str = "none",
    name: str = "arrays",
) -> Data:
    """Data from arrays of the user.

    Args:
        x: Train inputs (P, D), finite, one row per sample.
        y: Train labels (P,).
        x_test: Test inputs (P_test, D), or `None` (default).
        y_test: Test labels (P_test,), or `None` (default) if they are unknown.
        normalisation: `"none"` (default); `"centered"`: minus the mean of the train rows;
            `"unit_kernel"`: then each row scaled so that x.x / D = 1.
        name: A word or two for figures and tables.

    Returns:
        Data with copies of the arrays.

    Raises:
        InvalidProblem: If a shape does not fit, a number is not finite, there is no sample, or a
            row cannot be scaled.

    Example:
        >>> data = from_arrays([[0.0, 1.0], [4.0, 3.0]], [-1, 1], normalisation="unit_kernel")
        >>> data.gram()
        array([[ 1., -1.],
               [-1.,  1.]])
    """
    raw = Data(x, y, x_test, y_test, name)
    train, test = normalise(raw.x, raw.x_test, normalisation)
    return Data(train, raw.y, test, raw.y_test, raw.name)


@known_keywords
def from_file(
    path: str | os.PathLike[str],
    target: str = "y",
    test_count: int = 0,
    normalisation: str = "none",
    seed: int = 0,
) -> Data:
    r"""Data from a file, which is read without running anything it may contain.

    `.npz`: an array `x` (P, D) and an array of labels named by `target`; optional test arrays
    `x_test` and target + `_test`. `.csv`: UTF-8, commas, a header row; the column `target` holds
    the labels, all other columns are inputs, in their order.

    Args:
        path: File ending in `.npz` or `.csv`.
        target: Name of the labels.
        test_count: Samples to set aside as test samples, chosen by seed, for a file that has no
            test arrays of its own.
        normalisation: As in `from_arrays`.
        seed: Chooses the test samples, at least 0.

    Returns:
        Data named after the file; train and test samples keep the order of the file.

    Raises:
        InvalidProblem: If there is no such file, its ending is unknown, a name or number in it
            does not fit, or `test_count` leaves no train sample.
        CorruptFile: If the file cannot be read as what its ending says.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "points.csv"
        ...     _ = path.write_text("height,weight,label\n1,2,-1\n3,5,1\n")
        ...     from_file(path, target="label")
        Data('points': 2 train, 0 test, dimension 2)
    """
    path, target = checked_path("path", path), text("target", target)
    one_of("normalisation", normalisation, NORMALISATIONS)
    ending = path.suffix.lower()
    test_count, seed = integer("test_count", test_count, 0), integer("seed", seed, 0)
    if ending not in READERS:
        raise InvalidProblem(
            f"Argument `path` must end in .npz or .csv, but is {str(path)!r}; convert the file "
            "with numpy.savez or to comma-separated text."
        )
    if not is_there(path, Path.is_file):
        raise InvalidProblem(
            f"Argument `path` must name a file, but {str(path)!r} is none; correct it."
        )
    arrays = READERS[ending](path, target)
    if test_count:
        arrays = _set_aside(arrays, test_count, seed)
    return from_arrays(*arrays, normalisation=normalisation, name=path.stem)


def _set_aside(arrays: Arrays, test_count: int, seed: int) -> Arrays:
    """Split train arrays: `test_count` rows by seed become the test rows."""
    x, y, *test_arrays = arrays
    if any(array is not None for array in test_arrays):
        raise InvalidProblem(
            f"Argument `test_count` is {test_count}, but the file has test arrays of its own; "
            "leave `test_count` at 0."
        )
    raw = Data(x, y)
    if test_count >= raw.count:
        raise InvalidProblem(
            f"Argument `test_count` is {test_count}, but the file has {raw.count} samples and at "
            f"least one must stay for training; ask for at most {raw.count - 1}."
        )
    order = np.random.default_rng(seed).permutation(raw.count)
    test, train = np.sort(order[:test_count]), np.sort(order[test_count:])
    return raw.x[train], raw.y[train], raw.x[test], raw.y[test]


def _read_npz(path: Path, target: str) -> Arrays:
    """The arrays x, y, x_test, y_test of a NumPy archive, `None` where a test array is absent."""
    names = ("x", target, "x_test", f"{target}_test")
    try:
        # Opened here, because NumPy leaves a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in names if name in archive.files}
            present = sorted(archive.files)
    # Whatever a damaged archive makes the readers of zip and NumPy raise, it means one thing.
    except Exception as error:
        raise CorruptFile(
            f"{str(path)!r} cannot be read as a NumPy archive of plain numbers ({error}); write it "
            "again with numpy.savez, without objects."
        ) from error
    for name in names[:2]:
        if name not in found:
            raise _unknown(path, "array", name, present)
    return found["x"], found[target], found.get("x_test"), found.get(f"{target}_test")


def _read_csv(path: Path, target: str) -> Arrays:
    """Inputs and labels of a table; the column `target` holds the labels."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise CorruptFile(
            f"{str(path)!r} cannot be read as comma-separated UTF-8 text ({error})."
        ) from error
    header = [column.strip() for column in rows[0]] if rows else []
    if header.count(target) != 1:
        raise _unknown(path, "column", target, header)
    table = np.empty((len(rows) - 1, len(header)))
    for number, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise CorruptFile(
                f"{str(path)!r} has {len(header)} columns, but {len(row)} in sample {number}; the "
                "file may be cut off."
            )
        table[number] = [
            _number(path, cell, number, column) for cell, column in zip(row, header, strict=True)
        ]
    place = header.index(target)
    return np.delete(table, place, axis=1), table[:, place], None, None


def _number(path: Path, cell: str, sample: int, column: str) -> float:
    """The number in a cell of a table."""
    try:
        return float(cell)
    except ValueError:
        raise InvalidProblem(
            f"{str(path)!r} must hold numbers, but has {cell!r} in sample {sample}, column "
            f"{column!r}; replace words by numbers and remove samples with gaps."
        ) from None


def _unknown(path: Path, kind: str, name: str, present: list[str]) -> InvalidProblem:
    """The error for a name that a file has not, or has twice."""
    near = get_close_matches(name, present, n=1)
    hint = f" Did you mean {near[0]!r}?" if near and near[0] != name else ""
    return InvalidProblem(
        f"{str(path)!r} must have exactly one {kind} {name!r}, but has {present}.{hint}"
    )


READERS: dict[str, Callable[[Path, str], Arrays]] = {".npz": _read_npz, ".csv": _read_csv}
