"""Records and run folders of models that do not exist: small, and with every verdict that is asked for."""

import json

import numpy as np

from gmd26_md import molecules
from gmd26_md.records import Record, append_record
from gmd26_md.trajectory import Trajectory

ASKED = {
    "thermalise_ps": 0.5, "temperature_K": 300.0, "ensemble": "nve", "run_ps": 1.5, "timestep_fs": 0.5,
    "friction_per_fs": 0.02, "save_every_fs": 10.0, "n_seeds": 3, "seed": 0, "n_label_frames": 4,
    "reference": "gfn2-xtb", "thresholds": {"force_ratio_max": 0.2},
}  # fmt: skip
FINE = {
    "failed_at_ps": None, "alive_ps": 2.0, "nonfinite_at_ps": None, "too_hot_at_ps": None, "bond_broken_at_ps": None,
    "bond_broken_by_radii_at_ps": None, "clash_at_ps": None, "new_bond_at_ps": None, "transfer_at_ps": None,
    "temperature_max_K": 500.0, "energy_drift_meV_per_atom_per_ps": -0.1, "energy_rms_meV_per_atom": 0.1,
    "energy_change_max_meV_per_atom": 0.2, "path_force_mae_eV_per_A": 0.06, "path_force_mae_relative_ratio": 0.1,
    "true_energy_change_max_meV_per_atom": 3.0,
}  # fmt: skip
BROKEN = {"failed_at_ps": 1.0, "alive_ps": 1.0, "bond_broken_at_ps": 1.0, "bond_broken_by_radii_at_ps": 1.0}
TIMES_PS = [0.5, 1.0, 1.5, 2.0]


def run_of(name, verdict, seed=0, *, model="painn", task="duplication", split=None, metrics=None, **more):
    """Return a stability record of a molecule of the benchmark, or of any name."""
    found = [m for m in molecules.all_molecules() if m.name == name]
    n_atoms = len(found[0].atoms()) if found else 4
    wrong = {"broken": BROKEN}.get(verdict, {})
    along = {"time_ps": TIMES_PS, "force_mae_eV_per_A": [0.05, 0.06, 0.09, 0.04]}
    evidence = {"along": along, "force_mae_by_atom_eV_per_A": [0.01 * (i + 1) for i in range(n_atoms)],
                "force_mae_by_bonds_from_group_eV_per_A": {"0": 0.05, "1": 0.03}}  # fmt: skip
    if verdict == "broken":
        evidence["where"] = {
            "event": "bond_broken",
            "atoms": [0, 1],
            "elements": ["O", "C"],
            "bonds_from_group": 0,
            "at_ps": 1.0,
        }
    return Record(
        model=model, model_sha256=f"{model}-hash", family=model, molecule=name,
        formula=found[0].formula if found else "C2H2", split=split or ("ood" if "dioic" in name else "id"), task=task,
        protocol="stability", settings=ASKED, seed=seed, verdict=verdict, reason=f"it is {verdict}",
        metrics=FINE | wrong | (metrics or {}), device="cpu float32 batched",
        evidence=evidence | more.pop("evidence", {}),
        versions={"gmd26-md": "0.1.0"}, **more,
    )  # fmt: skip


def static_of(name, value=0.02, *, model="painn", split=None, **metrics):
    """Return a static-errors record."""
    record = run_of(name, None, model=model, split=split)
    numbers = {"force_mae_eV_per_A": value, "force_magnitude_mae_eV_per_A": value, "force_cosine": 0.99} | metrics
    return Record(**{**vars(record), "protocol": "static-errors", "settings": {"n_frames": 0}, "reason": "",
                     "metrics": numbers, "evidence": {}})  # fmt: skip


def folder_of(path, records, *, asked=None):
    """Write a run folder of records; `asked` is what stands in run.json."""
    path.mkdir(parents=True)
    for record in records:
        append_record(path / "records.jsonl", record)
    if asked is not None:
        (path / "run.json").write_text(json.dumps(asked))
    return path


def trajectory_of(name, n_frames=21, *, stretched=False):
    """Return a run of a molecule from 0 to 2 ps that warms up steadily; at its end the first bond is 3 Å long."""
    atoms = molecules.get(name).atoms()
    positions = np.repeat(atoms.positions[None], n_frames, axis=0)
    if stretched:
        along = atoms.positions[0] - atoms.positions[1]
        positions[-1, 0] = atoms.positions[1] + 3.0 * along / np.linalg.norm(along)
    speed = 0.01 * np.sqrt(np.linspace(1.0, 4.0, n_frames))
    velocities = np.ones((n_frames, len(atoms), 3)) * speed[:, None, None]
    forces = np.random.default_rng(0).normal(size=positions.shape)
    time_fs = np.linspace(0.0, 2000.0, n_frames)
    return Trajectory(atoms.numbers, time_fs, positions, velocities, np.zeros(n_frames), forces)
