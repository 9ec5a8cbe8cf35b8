"""From a study file to one resolved study: first `[quick]`, then `--set`."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.studies.schema import Source, Study, validate
from orderparam.studies.toml_text import Path, flatten, parse, parse_value


def resolve(
    text: str, name: str, *, settings: Sequence[str] = (), quick: bool = False
) -> tuple[Study, Source]:
    """Read a study and apply the changes asked for on the command line.

    A path that the study varies is held at the value it is set to; set to a list, it takes
    those values instead.

    Args:
        text: The study file.
        name: What to call it in messages.
        settings: Changes `path=value`, the value in TOML syntax.
        quick: Apply the study's `[quick]` table first.

    Returns:
        The checked study without its `[quick]` table, and where each value came from.

    Raises:
        InvalidProblem: For an unknown key, a wrong value, or no `[quick]` table where one is
            asked for.
    """
    values, lines = parse(text, name)
    source = Source(name, lines)
    study = validate(values, source)
    values["vary"] = dict(study.vary)
    origins: dict[Path, str] = {}
    values = {key: deepcopy(value) for key, value in values.items() if key != "quick"}
    for path, value in _quick(study) if quick else ():
        _assign(values, path, value)
        origins[path] = f"set by {source.where(('quick', *path))}"
    for setting in settings:
        path, value = _parse_setting(setting)
        _assign(values, path, value)
        origins[path] = "given by --set"
    source = replace(source, overrides=origins)
    return validate(values, source), source


def _quick(study: Study) -> list[tuple[Path, Any]]:
    """The changes of `[quick]`."""
    if not study.quick:
        raise InvalidProblem(
            f"Study `{study.name}` has no [quick] table, so --quick has no meaning for it; leave "
            "the option out, or add the table to the file."
        )
    return list(flatten(study.quick))


def with_case(values: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a study's tables with the varied paths set to one case."""
    result = deepcopy(dict(values))
    for name, value in case.items():
        _descend(result, tuple(name.split(".")), value)
    return result


def _parse_setting(setting: str) -> tuple[Path, Any]:
    """Split `path=value`."""
    path, equals, text = setting.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise InvalidProblem(
            f"`--set {setting}` has no value; write --set path=value, for example "
            "--set problem.gamma0=0.5."
        )
    return tuple(path.split(".")), parse_value(text.strip(), path)


def _assign(values: dict[str, Any], path: Path, value: Any) -> None:
    """Set one path, in `[vary]` if the study varies it."""
    name = ".".join(path)
    varied = values.get("vary", {})
    if name in varied and isinstance(value, list):
        varied[name] = value
        return
    if name in varied:
        values["vary"] = {key: choices for key, choices in varied.items() if key != name}
    _descend(values, path, value)


def _descend(values: dict[str, Any], path: Path, value: Any) -> None:
    """Set a leaf, making the tables on the way; the schema refuses unknown ones afterwards."""
    for length, part in enumerate(path[:-1], start=1):
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidProblem(
                f"`{'.'.join(path)}` cannot be set, because `{'.'.join(path[:length])}` is the "
                f"value {inner!r} and has no keys inside; set that key itself."
            )
        values = inner
    values[path[-1]] = value
