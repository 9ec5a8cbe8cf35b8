"""Spellings that have changed since a file was written."""

import json
from collections.abc import Mapping

from orderparam.results.solution import Solution

_RENAMED_IN = (0, 2)


def with_new_names(solution: Solution, renamed: Mapping[str, Mapping[str, str]]) -> Solution:
    """The solution with the values of its problem spelled as today.

    Args:
        solution: As read from a file.
        renamed: Old and new values by field of the problem.

    Returns:
        The same solution where nothing has changed, or where the file is not older than 0.2.
    """
    version = str(solution.dataset.attrs.get("library_version", ""))
    if not _before(version) or not renamed:
        return solution
    problem = {
        key: renamed[key].get(value, value) if key in renamed and isinstance(value, str) else value
        for key, value in solution.problem.items()
    }
    if problem == solution.problem:
        return solution
    text = json.dumps(problem, ensure_ascii=False)
    return Solution(solution.dataset.assign_attrs(problem=text))


def _before(version: str) -> bool:
    """Whether a version number is older than the renaming."""
    try:
        return tuple(int(part) for part in version.split(".")[:2]) < _RENAMED_IN
    except ValueError:
        return False
