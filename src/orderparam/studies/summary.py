"""What `comparison.json` holds, checked when it is read: the file may be damaged or edited."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orderparam.errors import CorruptFile
from orderparam.support.reading import read_json

SUMMARY = "comparison.json"


class _Row(BaseModel):
    variable: str
    rms_deviation: float
    combined_se: float
    z: float
    p_value: float
    verdict: str
    note: str


class _Table(BaseModel):
    table: list[_Row]


class _Status(BaseModel):
    file: str
    verdict: str
    message: str


class _Case(BaseModel):
    label: str
    verdict: str
    error: str
    theory: _Status | None
    experiment: _Status | None
    comparison: _Table | None


class _Claim(BaseModel):
    statement: str
    measured: float
    expected: str
    verdict: str
    se: float | None
    note: str


class _Summary(BaseModel):
    title: str
    verdict: str
    claims: list[_Claim]
    cases: list[_Case]


def read_summary_file(folder: Path) -> dict[str, Any]:
    """The verdicts in a run folder as plain values.

    Raises:
        FileNotFoundError: If there are none yet.
        CorruptFile: If the file is not what a run writes.
    """
    path = folder / SUMMARY
    advice = "run the study again, which writes it anew from the results, and these are kept"
    try:
        found = read_json(path)
        _Summary.model_validate(found)
    except CorruptFile as error:
        raise CorruptFile(f"{str(error).partition(';')[0]}; {advice}.") from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise CorruptFile(
            f"The file {path} is not what a run writes (`{place}` is missing or of another "
            f"type); {advice}."
        ) from None
    return found
