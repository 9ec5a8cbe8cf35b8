"""The built-in studies, and the file behind a name."""

import difflib
from importlib import resources
from pathlib import Path

from orderparam.errors import InvalidProblem
from orderparam.studies.schema import Source, Study, validate
from orderparam.studies.toml_text import parse


def builtin() -> list[Study]:
    """The studies that come with the library, by name."""
    return [_checked(text, name) for name, text in sorted(_texts().items())]


def find(name: str) -> tuple[str, str]:
    """The text of a study.

    Args:
        name: A built-in study's name, or the path of a TOML file.

    Returns:
        The text, and what to call the file in messages.

    Raises:
        InvalidProblem: If there is no such study or the file cannot be read.
    """
    if name in (texts := _texts()):
        return texts[name], f"{name}.toml"
    path = Path(name)
    if path.suffix != ".toml" and not path.is_file():
        close = difflib.get_close_matches(name, texts, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(sorted(texts))}."
        raise InvalidProblem(
            f"There is no built-in study `{name}`: {hint} A study of your own is given as the "
            "path of a .toml file."
        )
    try:
        return path.read_text(encoding="utf-8"), name
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidProblem(
            f"The study file {name} cannot be read ({reason}); give the path of a readable "
            "TOML file, or a name from `orderparam list`."
        ) from None


def _texts() -> dict[str, str]:
    """Name and text of each study in the package's gallery."""
    folder = resources.files("orderparam.studies") / "gallery"
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def _checked(text: str, name: str) -> Study:
    """A gallery file as a study."""
    values, lines = parse(text, f"{name}.toml")
    return validate(values, Source(f"{name}.toml", lines))
