"""Verify reference data: every check on every molecule, in parallel, and nothing passes that could not be checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.calculators import load_calculator
from gmd26_md.datasets import energy_checks, frame_checks, label_checks, pair_checks, stage_checks, store
from gmd26_md.datasets.faults import Fault, Problem
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.observables.bonds import BondGraph, bond_graph
from gmd26_md.reference.pool import one_thread_workers
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory

Measured = dict[str, float | int | None]


@dataclass(frozen=True)
class Asked:
    """What is asked of every molecule.

    Attributes
    ----------
    level
        The level of theory: folder of the data, and the reference that labels are held against.
    n_label_frames
        Frames of each trajectory whose labels are computed anew; 0 for none, which needs no reference.
    n_components
        Force components of each such frame that are held against central differences.
    n_primary, n_secondary
        Frames there must be; None: as many as the provenance says were asked for.
    """

    level: str = "gfn2-xtb"
    n_label_frames: int = 2
    n_components: int = 2
    n_primary: int | None = None
    n_secondary: int | None = None


@dataclass(frozen=True)
class MoleculeReport:
    """One molecule, checked.

    Attributes
    ----------
    molecule, slug
        Its name, and its folder's.
    problems
        All of them; empty if it is sound.
    measured
        By stage, what was measured on the way; None where it was not or could not be.
    """

    molecule: str
    slug: str
    problems: tuple[Problem, ...]
    measured: dict[str, Measured]


def verify(
    molecules: Sequence[Molecule],
    data: Path,
    asked: Asked,
    *,
    n_workers: int = 1,
    on_progress: Callable[[int, int, float], None] = lambda n_done, n, seconds_left: None,
) -> list[MoleculeReport]:
    """Check the data of these molecules and return a report of each, in the order given.

    Parameters
    ----------
    on_progress
        Called after each molecule with how many are done, how many there are, and the seconds left at this pace.

    Raises
    ------
    UserError
        If the reference cannot be had, or a worker process died.
    """
    if asked.n_label_frames:
        load_calculator(asked.level)  # so that what is missing is said once, and not by every molecule
    began, reports = time.monotonic(), {}

    def note(report: MoleculeReport) -> None:
        reports[report.slug] = report
        pace = (time.monotonic() - began) / len(reports)
        on_progress(len(reports), len(molecules), pace * (len(molecules) - len(reports)))

    if min(n_workers, len(molecules)) < 2:
        for molecule in molecules:
            note(verify_molecule(molecule, data, asked))
    else:
        with one_thread_workers(n_workers) as pool:
            # the longest first, so that no worker ends up alone with one
            order = sorted(molecules, key=lambda m: -m.n_carbon)
            futures = [pool.submit(verify_molecule, m, data, asked) for m in order]
            try:
                for future in as_completed(futures):
                    note(future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [reports[m.slug] for m in molecules]


def verify_molecule(molecule: Molecule, data: Path, asked: Asked) -> MoleculeReport:
    """Check one molecule's folder. What cannot be read is a problem of its own, and what hangs on it is left out."""
    folder = store.folder_of(data, asked.level, molecule)
    look = _Look(molecule, folder, asked)
    try:
        look.all()
    except UserError as problem:
        look.add("", [Fault("unreadable", str(problem))])
    except Exception as problem:  # a check that broke has not passed, and the other molecules go on
        look.add("", [Fault("check failed", f"could not be checked: {type(problem).__name__}: {problem}")])
    return MoleculeReport(molecule.name, molecule.slug, tuple(look.problems), look.measured)


class _Look:
    """One molecule's checks, as they go."""

    def __init__(self, molecule: Molecule, folder: Path, asked: Asked) -> None:
        self.molecule, self.folder, self.asked = molecule, folder, asked
        self.problems: list[Problem] = []
        self.measured: dict[str, Measured] = {}
        self.told: dict[str, dict[str, Any]] = {}

    def add(self, stage: str, faults: Sequence[Fault]) -> bool:
        """Keep these faults, and tell whether there were none."""
        self.problems += [Problem(self.molecule.name, stage, fault) for fault in faults]
        return not faults

    def all(self) -> None:
        """Make every check that can be made."""
        if not self.folder.is_dir():
            words = f"no data in {self.folder}; 'gmd26-md data generate' makes it"
            self.add("", [Fault("missing", words)])
            return
        self.told = store.read_provenance(self.folder)
        sound = {}
        asked = [s for s in ("primary", "secondary") if getattr(self.asked, f"n_{s}") is not None]
        for stage in dict.fromkeys([*stage_checks.stages_of(self.told), *asked]):
            frames = self._read(stage)
            if frames is not None:
                sound[stage] = frames
        graph = self._graph(sound.get("minimum"))
        for stage, frames in sound.items():
            self._frames(stage, frames, graph, sound.get("minimum"))
        if {"primary", "secondary"} <= sound.keys():
            self._independent(sound["primary"], sound["secondary"])

    def _read(self, stage: str) -> Trajectory | None:
        """Return a stage's frames if they are numbers of this molecule: what every other check rests on."""
        asked = {"primary": self.asked.n_primary, "secondary": self.asked.n_secondary}.get(stage)
        faults, frames = stage_checks.checked_frames(self.folder, stage, self.told, self.asked.level, asked)
        self.add(stage, faults)
        if frames is None:
            return None
        self.measured[stage] = {"n_frames": frames.n_frames}
        finite = self.add(stage, frame_checks.not_finite(frames))
        return frames if finite and self.add(stage, frame_checks.not_the_molecule(frames, self.molecule)) else None

    def _graph(self, minimum: Trajectory | None) -> BondGraph:
        """Return the bonds that all frames must have: the minimum's, or those of the SMILES without one."""
        if minimum is None or not self.add("minimum", frame_checks.wrong_minimum_graph(minimum, self.molecule)):
            built = self.molecule.atoms()
            return bond_graph(built.numbers, built.positions)
        return bond_graph(minimum.numbers, minimum.positions[0])

    def _frames(self, stage: str, frames: Trajectory, graph: BondGraph, minimum: Trajectory | None) -> None:
        measured = self.measured[stage]
        measured["longest_bond_radii"] = frame_checks.longest_bond(frames, graph)
        whole = self.add(stage, frame_checks.changed_graph(frames, graph))
        self.add(stage, frame_checks.repeated(frames))
        if stage == "minimum":
            self._at_rest(frames)
        elif stage_checks.is_dynamics(self.told[stage]) and minimum is not None:
            self._dynamics(stage, frames, graph, float(minimum.energies[0]))
        if self.asked.n_label_frames and whole:
            self._labels(stage, frames)

    def _at_rest(self, minimum: Trajectory) -> None:
        largest = float(np.linalg.norm(minimum.forces[0], axis=-1).max())
        self.measured["minimum"]["largest_force_eV_per_A"] = largest
        limit = self.told["minimum"].get("settings", {}).get("fmax_eV_per_A")
        if limit is not None and not largest <= limit:
            words = f"the largest force is {largest:.3g} eV/Å, its settings asked for {limit:g}: no minimum"
            self.add("minimum", [Fault("minimum", words, 0, largest, float(limit))])

    def _dynamics(self, stage: str, frames: Trajectory, graph: BondGraph, minimum_energy: float) -> None:
        settings, measured = self.told[stage]["settings"], self.measured[stage]
        kelvin = float(settings["temperature_K"])
        self.add(stage, frame_checks.wrong_clock(frames, float(settings["interval_fs"])))
        found = energy_checks.thermal(frames, minimum_energy)
        few = frames.n_atoms <= energy_checks.FEW_ATOMS
        off = energy_checks.off_work(frames, graph.bonds)
        limit = energy_checks.jump_limit(off, kelvin)
        measured |= asdict(found) | {
            "temperature_K": kelvin,
            "allowed_off_K": energy_checks.allowed_off_K(found, kelvin),
        }
        measured |= {"largest_jump_eV": float(np.abs(off).max(initial=0.0)), "jump_limit_eV": limit}
        if self.add(stage, energy_checks.wrong_scale(found, kelvin, few_atoms=few)):
            self.add(stage, energy_checks.wrong_temperature(found, kelvin))
            self.add(stage, energy_checks.jumps(off, limit))

    def _independent(self, primary: Trajectory, secondary: Trajectory) -> None:
        self.add("secondary", pair_checks.shared_frames(primary, secondary))
        told = [self.told[stage] for stage in ("primary", "secondary")]
        if all(stage_checks.is_dynamics(entry) for entry in told):
            seeds = [entry.get("stream_seed") for entry in told]
            faults, found = pair_checks.dependence(primary, secondary, seeds)
            self.add("secondary", faults)
            self.measured["secondary"] |= asdict(found)

    def _labels(self, stage: str, frames: Trajectory) -> None:
        random = np.random.default_rng(seed_of(0, self.molecule.slug, stage, "verify"))
        n = min(self.asked.n_label_frames, frames.n_frames)
        chosen = sorted(random.choice(frames.n_frames, n, replace=False).tolist())
        reference = _reference(self.asked.level, self.molecule)
        try:
            faults, errors = label_checks.wrong_labels(frames, chosen, self.asked.n_components, reference, random)
        except Exception as problem:  # a label that cannot be checked has not passed
            words = f"the reference could not answer: {type(problem).__name__}: {problem}"
            self.add(stage, [Fault("reference", words)])
            return
        self.add(stage, faults)
        self.measured[stage] |= asdict(errors)


def _reference(level: str, molecule: Molecule) -> label_checks.Reference:
    """Return the level's own energy and forces as a function of positions, each converged from scratch and tight."""
    atoms = molecule.atoms()
    atoms.calc = load_calculator(level)

    def answer(positions: np.ndarray) -> tuple[float, np.ndarray]:
        atoms.positions = positions
        return float(atoms.get_potential_energy()), np.asarray(atoms.get_forces())

    return answer
