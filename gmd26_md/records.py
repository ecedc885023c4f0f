"""Records: one line of JSON a run, which suffices to judge it and to repeat it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmd26_md import strict_json
from gmd26_md.errors import UserError

SPLITS = ("id", "ood", "user")
VERDICTS = ("faithful", "silent", "drifting", "reacted", "broken", "exploded", "unsupported", "error", "censored")
"""Every outcome a run can have; all of them stay in the denominator."""

# The last word(s) of a metric's name -> its unit; longer endings first, as "eV_per_A" ends with "A" too.
UNIT_ENDINGS = {
    "meV_per_atom_per_ps": "meV/atom/ps",
    "meV_per_atom": "meV/atom",
    "eV_per_A": "eV/Å",
    "per_cm": "1/cm",
    "meV": "meV",
    "eV": "eV",
    "ps": "ps",
    "fs": "fs",
    "s": "s",
    "K": "K",
    "A": "Å",
    "deg": "°",
    "cosine": "1",
    "ratio": "1",
    "fraction": "1",
}


def unit_of(key: str) -> str:
    """Return the unit that a metric's name ends with; "count" for a name that begins with `n_`.

    Raises
    ------
    ValueError
        For a name without a unit.
    """
    if key.startswith("n_"):
        return "count"
    for ending, unit in UNIT_ENDINGS.items():
        if key.endswith(f"_{ending}"):
            return unit
    raise ValueError(f"metric {key!r} has no unit at its end; allowed: {', '.join(UNIT_ENDINGS)}, or a count n_...")


@dataclass(frozen=True)
class Metric:
    """What a number means: its unit, whether less or more of it is better, and one sentence."""

    unit: str
    better: Literal["lower", "higher", "neither"]
    meaning: str


def _metrics(better: Literal["lower", "higher", "neither"], **meanings: str) -> dict[str, Metric]:
    """Return metrics that share a direction, each unit taken from its name."""
    return {key: Metric(unit_of(key), better, meaning) for key, meaning in meanings.items()}


METRICS: dict[str, Metric] = {
    # static errors, on reference frames
    **_metrics(
        "lower",
        force_mae_eV_per_A="mean absolute error of the force components",
        force_rmse_eV_per_A="root-mean-square error of the force components",
        force_magnitude_mae_eV_per_A="mean absolute error of the length of the force vectors",
        force_mae_relative_ratio="force MAE over the mean absolute reference component",
        force_rmse_relative_ratio="force RMSE over the RMS reference component",
        energy_mae_eV="mean absolute error of the energy of a molecule, absolute",
        energy_rmse_eV="root-mean-square error of the energy of a molecule, absolute",
        energy_offset_removed_mae_eV="energy MAE after each molecule's mean error is removed",
        energy_offset_removed_rmse_eV="energy RMSE after each molecule's mean error is removed",
    ),
    **_metrics("higher", force_cosine="mean cosine between predicted and reference force vectors"),
    **_metrics("neither", energy_offset_eV="mean energy error of a molecule: a constant, which dynamics cannot feel"),
    # relaxation
    **_metrics("higher", converged_fraction="1 where the relaxation met its force limit, else 0"),
    **_metrics(
        "lower",
        n_steps="steps taken",
        n_energy_calls="evaluations of energy and forces",
        fmax_eV_per_A="longest force of the model at its last geometry",
        rmsd_A="all-atom RMSD to the reference minimum after alignment",
        heavy_rmsd_A="heavy-atom RMSD to the reference minimum after alignment",
        reference_fmax_eV_per_A="longest reference force at the model's minimum",
        reference_energy_above_minimum_eV="reference energy at the model's minimum above the reference minimum",
        relaxed_on_heavy_rmsd_A="how far the reference moves when it relaxes on from the model's minimum",
        relaxed_on_energy_drop_eV="how much reference energy that sets free",
    ),
    # dynamics: is it alive?
    **_metrics("higher", alive_ps="time before the first failure, or to the end"),
    **_metrics(
        "neither",
        failed_at_ps="time of the first failure of any kind",
        nonfinite_at_ps="first frame with a value that is not finite",
        too_hot_at_ps="first frame above the temperature limit",
        bond_broken_at_ps="first bond more than 0.5 Å from its reference length (Fu et al. 2023)",
        bond_broken_by_radii_at_ps="first bond longer than 1.5 times the sum of covalent radii",
        clash_at_ps="first pair closer than 0.7 times the sum of covalent radii",
        new_bond_at_ps="begin of the first lasting bond that the start had not",
        transfer_at_ps="begin of the first lasting proton transfer",
        temperature_mean_K="mean kinetic temperature",
        temperature_max_K="highest kinetic temperature",
    ),
    # dynamics: is it conserved?
    **_metrics(
        "lower",
        energy_drift_meV_per_atom_per_ps="slope of the total energy in a constant-energy run; its size counts",
        energy_rms_meV_per_atom="RMS of the total energy about its line",
        energy_change_max_meV_per_atom="largest change of the total energy since the start",
        energy_drift_relative_ratio="|slope| times duration over the spread of the kinetic energy",
    ),
    # dynamics: is it true?
    **_metrics(
        "lower",
        path_force_mae_eV_per_A="force MAE against the reference along the model's own run",
        path_force_mae_relative_ratio="the same over the mean absolute reference component of the run",
        true_energy_slope_meV_per_atom_per_ps="slope of kinetic plus reference energy along the run; its size counts",
        true_energy_rms_meV_per_atom="RMS of kinetic plus reference energy about its start",
        true_energy_change_max_meV_per_atom="largest change of kinetic plus reference energy since the start",
    ),
}


@dataclass(frozen=True)
class Record:
    """One run: who, on what, how, with which outcome, at which cost.

    `family` is the model's. A metric's name ends with its unit, and None means that it did not happen or
    was not measured; NaN means that it was measured and is not a number.

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

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r}; allowed: {', '.join(SPLITS)}")
        if self.verdict is not None and self.verdict not in VERDICTS:
            raise ValueError(f"verdict {self.verdict!r}; allowed: {', '.join(VERDICTS)}")
        for key in self.metrics:
            unit_of(key)

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
        return Record(**{**content, **numeric})
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"line {number} of {path} is no record: {error}. "
            "Move the file away, or read it with the version that wrote it."
        ) from error
