"""What is to be labelled: a job is one stage of one molecule at the new level, and knows what is done of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ase import Atoms

from gmd26_md.calculators import families, load_calculator
from gmd26_md.datasets import store
from gmd26_md.datasets.relabel_journal import Answer, Journal
from gmd26_md.datasets.relabel_sources import Source, sources_of
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule


@dataclass(frozen=True)
class LabelSettings:
    """What is labelled, and how much of it.

    Attributes
    ----------
    reference, sampled_by
        The level of the new labels, and the level whose dynamics made the geometries.
    n_test, n_primary, n_secondary
        Frames a molecule, evenly spread; 0 leaves the stage out. See `relabel_sources`.
    minimum
        Whether to relax each molecule at the new level, from the sampler's minimum.
    fmax_eV_per_A
        Largest force left there.
    """

    reference: str
    sampled_by: str = "gfn2-xtb"
    n_test: int = 20
    n_primary: int = 0
    n_secondary: int = 0
    minimum: bool = True
    fmax_eV_per_A: float = 0.01

    def __post_init__(self) -> None:
        if self.reference == self.sampled_by:
            raise UserError(
                f"the geometries of {self.sampled_by} have its labels already; name another level with --reference."
            )
        if not (self.minimum or any(self.counts.values())):
            raise UserError("nothing is asked for; give --n-test, --n-primary or --n-secondary, or --minimum.")

    @property
    def counts(self) -> dict[str, int]:
        """Frames by stage."""
        return {"test": self.n_test, "primary": self.n_primary, "secondary": self.n_secondary}


@dataclass(eq=False)
class Job:
    """One stage of one molecule that is not done: its geometries, its journal and what is written when it is.

    `source` is None for a minimum, which begins at `start`.
    """

    molecule: Molecule
    stage: str
    folder: Path
    journal: Journal
    made_by: dict[str, Any]
    start: Atoms
    source: Source | None = None

    @property
    def missing(self) -> list[int]:
        """Frames that have no answer yet; none of a minimum."""
        return [] if self.source is None else [i for i, answer in enumerate(self.answers) if answer is None]

    @property
    def answers(self) -> list[Answer | None]:
        """What is known of each frame, in order."""
        return [] if self.source is None else [self.journal.get(p) for p in self.source.frames.positions]


def open_jobs(
    molecules: Sequence[tuple[Molecule, str]], data: Path, out: Path, settings: LabelSettings, command: str = ""
) -> list[Job]:
    """Return what is still to be made, with the labels that an earlier run left, and complain before anything is.

    Parameters
    ----------
    molecules
        With the frames that test them, "id" or "ood", as `Task.frames_of` says.
    data, out
        Where the sampled data lies, and where the labels go; may be the same folder.

    Raises
    ------
    UserError
        If geometries are missing, labels made with other settings are in the way, or the reference is not installed.
    """
    _refuse_foreign(molecules, settings.reference)
    jobs = []
    for molecule, split in molecules:
        folder = store.folder_of(out, settings.reference, molecule)
        if settings.minimum:
            jobs.append(_minimum_job(molecule, data, folder, settings, command))
        for source in sources_of(data, settings.sampled_by, molecule, split, settings.counts):
            jobs.append(_frames_job(molecule, split, source, folder, settings, command))
    return [job for job in jobs if not store.is_done(job.folder, job.stage, job.made_by["settings"])]


def _refuse_foreign(molecules: Sequence[tuple[Molecule, str]], reference: str) -> None:
    """Raise for a reference that is no engine, is not installed or does not know an element, and for ions."""
    if not families.is_engine(reference):
        raise UserError(
            f"reference {reference!r} is no level of theory; allowed are {', '.join(families.engine_names())}, such as "
            "pbe-d3bj/def2-svp."
        )
    known = set(load_calculator(reference).engine.elements)
    for molecule, _ in molecules:
        if not set(molecule.atoms().numbers.tolist()) <= known:
            raise UserError(f"{molecule.name} ({molecule.formula}) has elements that {reference} does not know.")
        if molecule.charge or molecule.multiplicity != 1:
            raise UserError(
                f"{molecule.name} has charge {molecule.charge} and multiplicity {molecule.multiplicity}; labels are of "
                "neutral molecules with all electrons paired, choose those with --only."
            )


def _minimum_job(molecule: Molecule, data: Path, folder: Path, settings: LabelSettings, command: str) -> Job:
    source = store.folder_of(data, settings.sampled_by, molecule)
    found = store.read_frames(source / "minimum.extxyz", molecule, settings.sampled_by)
    start = Atoms(found.numbers, found.positions[0], info={"name": molecule.name})
    wanted = {"fmax_eV_per_A": settings.fmax_eV_per_A, "sampled_by": settings.sampled_by}
    origin = store.read_provenance(source).get("minimum", {})
    made_by = _made_by(settings, wanted, origin, command) | {
        "method": f"relaxed with {settings.reference} by L-BFGS, from the minimum of {settings.sampled_by}"
    }
    return Job(molecule, "minimum", folder, _journal(folder, "minimum", start, settings), made_by, start)


def _frames_job(
    molecule: Molecule, split: str, source: Source, folder: Path, settings: LabelSettings, command: str
) -> Job:
    start = Atoms(source.frames.numbers, source.frames.positions[0])
    wanted = {
        "n_frames": settings.counts[source.stage],
        "sampled_by": settings.sampled_by,
        "positions_sha256": source.positions_sha256,
    }
    made_by = _made_by(settings, wanted, source.origin, command) | {
        "split": split,
        "method": f"geometries sampled by {settings.sampled_by} dynamics; energies and forces of {settings.reference}",
    }
    journal = _journal(folder, source.stage, start, settings)
    return Job(molecule, source.stage, folder, journal, made_by, start, source)


def _journal(folder: Path, stage: str, start: Atoms, settings: LabelSettings) -> Journal:
    """Return the answers that there are; what they depend on beside the positions stands in the file."""
    reference = settings.reference
    content = {
        "reference": reference,
        "numbers": start.numbers,
        "options": families.engine_options(reference),
        "versions": families.packages(reference.partition("/")[0]),
    }
    return Journal(folder / f".{stage}.labels.jsonl", content)


def _made_by(settings: LabelSettings, wanted: dict[str, Any], origin: dict[str, Any], command: str) -> dict[str, Any]:
    return {
        "level_of_theory": settings.reference,
        "sampled_by": settings.sampled_by,
        "options": families.engine_options(settings.reference),
        "settings": wanted,
        "command": command,
        "source": origin,
        "units": {"energies": "eV", "forces": "eV/Å", "positions": "Å", "time": "fs"},
        "versions": _versions(settings.reference) | {"python": sys.version.split()[0]},
    }


def _versions(reference: str) -> dict[str, str | None]:
    names = ("gmd26-md", "ase", "numpy")
    return families.packages(reference.partition("/")[0]) | {name: version(name) for name in names}
