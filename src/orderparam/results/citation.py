"""Works that a result builds on, as BibTeX."""

from collections.abc import Mapping
from dataclasses import dataclass

NEURIPS = "Advances in Neural Information Processing Systems"


@dataclass(frozen=True)
class Source:
    """One entry of a bibliography.

    Args:
        kind: Type of the entry, such as `article`.
        fields: Its fields, in order.
    """

    kind: str
    fields: Mapping[str, str]

    def bibtex(self, key: str) -> str:
        """The entry as BibTeX, under a key."""
        lines = [f"  {name} = {{{text}}}," for name, text in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{key},", *lines, "}"])


def arxiv(number: str) -> dict[str, str]:
    """The fields of a paper on arXiv."""
    return {"eprint": number, "archivePrefix": "arXiv", "url": f"https://arxiv.org/abs/{number}"}
