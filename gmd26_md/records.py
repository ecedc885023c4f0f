"""Records: one line of JSON a run, which suffices to judge it and to repeat it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmd26_md import strict_json
from gmd26_md.errors import UserError
from gmd26_md.metrics import unit_of

SPLITS = ("id", "ood", "user")
VERDICTS = ("faithful", "silent", "drifting", "reacted", "broken", "exploded", "unsupported", "error", "censored")
"""Every outcome a run can have; all of them stay in the denominator."""


@dataclass(frozen=True)
class Record:
    """One run: who, on what, how, with which outcome, at which cost.

    `family` is the model's. `task_sha256` is that of a task of one's own, empty for the benchmark's; `molecule_slug`
    is the molecule in file names. A metric's name ends with its unit, and None means that it did not happen or was not
    measured; NaN means that it was measured and is not a number.

    Raises
    ------
    ValueError
        For a split or a verdict outside `SPLITS` and `VERDICTS`, or a metric without a unit in its name.
    """

    model: str
    model_sha256: str
    family: str
    molecule: str
    formula: str
    split: str
    task: str
    protocol: str
    settings: dict[str, Any]
    seed: int
    verdict: str | None = None
    reason: str = ""
    metrics: dict[str, float | None] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    trajectory: str | None = None
    structure_sha256: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    task_sha256: str = ""
    molecule_slug: str = ""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r}; allowed: {', '.join(SPLITS)}")
        if self.verdict is not None and self.verdict not in VERDICTS:
            raise ValueError(f"verdict {self.verdict!r}; allowed: {', '.join(VERDICTS)}")
        for key in self.metrics:
            unit_of(key)

    @property
    def slug(self) -> str:
        """The molecule in file names; of a record that does not say it, as the benchmark's names give it."""
        return self.molecule_slug or self.molecule.replace(" ", "-").replace(",", "_")

    @property
    def key(self) -> str:
        """Content hash of the question the record answers: equal keys, equal runs."""
        return run_key(self.protocol, self.model_sha256, self.molecule, self.structure_sha256, self.settings, self.seed)


def run_key(
    protocol: str, model_sha256: str, molecule: str, structure_sha256: str, settings: dict[str, Any], seed: int
) -> str:
    """Return the SHA-256 that names a run, known before it is made: what a resumed job looks up."""
    content = strict_json.canonical([protocol, model_sha256, molecule, structure_sha256, settings, seed])
    return hashlib.sha256(content.encode()).hexdigest()


def structure_sha256(numbers: NDArray[Any], positions: NDArray[np.float64]) -> str:
    """Return a hash of a geometry: numbers and positions (n_atoms, 3) in Å, to 1e-4 Å."""
    rounded = np.round(np.asarray(positions, dtype=np.float64), 4) + 0.0  # + 0.0 turns -0.0 into 0.0
    content = strict_json.canonical([np.asarray(numbers).tolist(), rounded.tolist()])
    return hashlib.sha256(content.encode()).hexdigest()


def append_record(path: Path | str, record: Record) -> None:
    """Append one line and sync it to disk. A torn last line, left by a kill, is removed first.

    Limit: one writer a file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (strict_json.dumps(asdict(record)) + "\n").encode()
    with path.open("ab+") as handle:
        _mend_end(handle)
        handle.write(line)
        handle.flush()
        os.fsync(handle.fileno())


def _mend_end(handle: Any) -> None:
    """Cut an unfinished last line off an open file, or end it where only the line break is missing."""
    handle.seek(0)
    content: bytes = handle.read()
    _, _, rest = content.rpartition(b"\n")
    if not rest:
        return
    if _is_json(rest):
        handle.write(b"\n")
    else:
        handle.truncate(len(content) - len(rest))


def _is_json(line: bytes) -> bool:
    """Tell whether a line is a whole JSON value."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def read_records(path: Path | str) -> list[Record]:
    """Return the records of a file in order; none where the file does not exist. A torn last line is left out.

    Raises
    ------
    UserError
        For a line that is no record of ours, other than an unfinished last one.
    """
    path = Path(path)
    if not path.exists():
        return []
    whole, _, rest = path.read_bytes().rpartition(b"\n")
    lines = whole.split(b"\n") if whole else []
    if _is_json(rest):
        lines.append(rest)
    return [_record(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _record(path: Path, number: int, line: bytes) -> Record:
    """Return the record in a line, with the numbers that JSON cannot say decoded."""
    try:
        content = json.loads(line)
        unknown = set(content) - {item.name for item in fields(Record)}
        if unknown:
            raise ValueError(f"fields {', '.join(sorted(unknown))} are not known to this version")
        numeric = {name: strict_json.decoded(content[name]) for name in ("settings", "metrics", "cost")}
        numeric["evidence"] = strict_json.decoded(content.get("evidence", {}))
        return Record(**{**content, **numeric})
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"line {number} of {path} is no record: {error}. "
            "Move the file away, or read it with the version that wrote it."
        ) from error
