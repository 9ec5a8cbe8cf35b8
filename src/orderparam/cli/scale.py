"""The command `scale`: the table of roles for people who scale models."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from orderparam.cli.terminal import AsJson, explained, print_json
from orderparam.errors import InvalidProblem
from orderparam.support.spelling import nearest

_SIZES = "Sizes, such as width=256,experts=8,active=2,expert_width=64,head_dim=32,layers=4."
Base = Annotated[str, typer.Option(metavar="SIZES", help=f"The tuned model. {_SIZES}")]
Target = Annotated[str, typer.Option(metavar="SIZES", help="The model to train.")]


def scale(
    base: Base,
    target: Target,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A choice, such as parameterization=mssp, optimizer=sgd, depth_exponent=1, "
            "sharing=groups, gate=normalised; may be repeated.",
        ),
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Show the steps behind one role.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the plan as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print how every role scales from a tuned base model to a target."""
    with explained(as_json), warnings_in_reports():
        from orderparam.experts import Shape, role_table

        shapes = [Shape(**read_sizes(text)) for text in (base, target)]
        plan = role_table(shapes[0], shapes[1], **read_choices(settings or []))
        if save is not None:
            plan.save(save)
        if as_json:
            print_json(plan.plain())
        elif explain is not None:
            print(plan.explain(explain))
        else:
            print(plan.report())


def read_sizes(text: str) -> dict[str, Any]:
    """The arguments of a `Shape` from `name=number,...`.

    Raises:
        InvalidProblem: If a part is not a name and a whole number, a name is unknown or comes
            twice.
    """
    from orderparam.experts import Shape

    names = [name for name in Shape.__dataclass_fields__ if name != "widths"]
    known: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not (equals and name and number.isdigit()):
            raise InvalidProblem(
                f"Sizes are written name=number and joined by commas, but {part!r} is not; write "
                "for example width=256,experts=8,expert_width=64."
            )
        if name not in names:
            raise InvalidProblem(
                f"The size {name!r} is unknown, so that it would scale nothing; use "
                f"{', '.join(names)}.{nearest(name, names)}"
            )
        if name in known:
            raise InvalidProblem(f"The sizes {text!r} name {name} twice; keep one of them.")
        known[name] = int(number)
    if "width" not in known:
        raise InvalidProblem(f"The sizes {text!r} lack `width`; add width=NUMBER.")
    return known


def read_choices(settings: list[str]) -> dict[str, Any]:
    """Choices from `name=value`; numbers, true, false and null are read as such.

    Raises:
        InvalidProblem: If a setting has no equals sign.
    """
    choices = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidProblem(f"The setting {setting!r} lacks a value; write NAME=VALUE.")
        try:
            choices[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            choices[name.strip()] = value.strip()
    return choices


@contextmanager
def warnings_in_reports() -> Iterator[None]:
    """Plans print their warnings in the report, so that they are not shown twice."""
    from orderparam.experts import ScalingWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScalingWarning)
        yield


COMMANDS = (scale,)
