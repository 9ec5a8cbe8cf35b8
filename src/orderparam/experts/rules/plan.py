"""The plan: what to multiply the tuned values of the base with, to read, compare and keep."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orderparam.errors import CorruptFile
from orderparam.experts.rules.contents import TABLE_VERSION, Entry, PlanContents
from orderparam.experts.rules.difference import difference
from orderparam.experts.rules.explain import explain
from orderparam.experts.rules.forward import ForwardMultipliers
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.report import report
from orderparam.experts.rules.shape import Shape
from orderparam.results.files import atomic_write
from orderparam.support.reading import parsed

__all__ = ["TABLE_VERSION", "Entry", "ScalingPlan"]


@dataclass(frozen=True)
class ScalingPlan(PlanContents):
    """Multipliers for every parameter of a target model, and for its forward pass.

    A plan holds names and numbers only. It is made once, kept beside the checkpoint, and applied to
    the base model's tuned values; nothing is attached to a model. Arguments: as `PlanContents`.
    """

    def report(self) -> str:
        """The plan as a table for people."""
        return report(self)

    def explain(self, name: str) -> str:
        """The steps that give one parameter its multipliers."""
        return explain(self, self[name])

    def diff(self, other: "ScalingPlan") -> list[str]:
        """What differs in another plan, one line each; empty for equal plans."""
        return difference(self, other)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A plan from its JSON.

        Raises:
            CorruptFile: If the text is not a plan of this version of the table.
        """
        try:
            read = parsed(text, "The text of a scaling plan")
            version = read["table_version"]
            if version != TABLE_VERSION:
                raise CorruptFile(
                    f"The plan was made with version {version} of the scaling table, but this is "
                    f"version {TABLE_VERSION}; make the plan again, or use the library of then."
                )
            read["entries"] = tuple(
                Entry(**{**entry, "shape": tuple(entry["shape"])}) for entry in read["entries"]
            )
            read["base"], read["target"] = Shape(**read["base"]), Shape(**read["target"])
            read["recipe"] = Recipe(**read["recipe"])
            read["forward_multipliers"] = ForwardMultipliers(**read["forward_multipliers"])
            read["warnings"], read["notes"] = tuple(read["warnings"]), tuple(read["notes"])
            return cls(**read)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFile(
                f"The text is not a scaling plan ({error}); give what `to_json` or `save` wrote."
            ) from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the plan as a JSON file, complete or not at all."""
        return atomic_write(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; nothing is executed.

        Raises:
            CorruptFile: If the file is not a plan of this version of the table.
            FileNotFoundError: If there is none.
        """
        return cls.from_json(Path(path).read_text(encoding="utf-8"))
