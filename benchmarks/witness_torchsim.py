"""An outside witness: TorchSim's integrators on the same model and the same start, beside ours and ASE's.

It runs in an environment of its own, in which both packages are (none of ours depends on TorchSim):

    python -m venv .witness
    .witness/bin/pip install 'torch>=2.6,<2.14' torch-sim-atomistic==0.3.0 mace-torch==0.3.16 ase==3.29.0
    .witness/bin/pip install rdkit rich click scipy threadpoolctl 'vesin<0.7'
    .witness/bin/pip install --no-deps -e .
    .witness/bin/python benchmarks/witness_torchsim.py

Both move the weights of checkpoints/mace-duplication.pt: TorchSim through its own MaceModel around the vendor's module.
"""

from __future__ import annotations

import copy
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch_sim as ts
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from machine import description
from torch_sim.integrators import nve, nvt_langevin
from torch_sim.models.interface import ModelInterface
from torch_sim.models.mace import MaceModel

from gmd26_md import molecules
from gmd26_md.calculators import load_calculator, load_checkpoint
from gmd26_md.calculators.potential import Potential
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import PotentialForces
from gmd26_md.trajectory import kinetic_energy

HERE = Path(__file__).resolve().parent
CHECKPOINT = HERE.parent / "checkpoints" / "mace-duplication.pt"
NAMES = ("ethanoic acid", "butanoic acid", "pentanedioic acid")
CPU = torch.device("cpu")


def acids(names: tuple[str, ...]) -> list[Atoms]:
    """Return molecules as they are built."""
    return [molecules.get(name).atoms() for name in names]


def torchsim_model() -> MaceModel:
    """Return TorchSim's own wrapper around the vendor's module with the checkpoint's weights."""
    potential = load_checkpoint(CHECKPOINT).potential(CPU, "float64")
    network: Any = copy.deepcopy(potential.network)
    scale = potential.energy_scale
    vendor = network.vendor
    vendor.scale_shift.scale = vendor.scale_shift.scale * scale  # our potential multiplies outside of the module
    vendor.scale_shift.shift = vendor.scale_shift.shift * scale
    return MaceModel(model=vendor, device=CPU, dtype=torch.float64, compute_stress=False)


def ours() -> PotentialForces:
    """Return our batched road with the same weights."""
    return PotentialForces(load_checkpoint(CHECKPOINT).potential(CPU, "float64"))


def systems_of(batch: list[Atoms]) -> list[System]:
    """Return runs at 300 K."""
    return [System(str(i), a.numbers, a.positions, seed=i, temperature_K=300.0) for i, a in enumerate(batch)]


def torchsim_nve(model: Any, batch: list[Atoms], velocities: list[np.ndarray], dt_fs: float) -> tuple[Any, Any]:
    """Return TorchSim's state at the start, with these velocities (ASE units), and its update."""
    dt = torch.tensor(dt_fs * units.fs, dtype=torch.float64)
    init, update = nve(model, dt=dt, kT=torch.tensor(300.0 * units.kB, dtype=torch.float64))
    state = init(ts.io.atoms_to_state(batch, CPU, torch.float64))
    state.momenta = torch.as_tensor(np.concatenate(velocities)) * state.masses[:, None]
    return state, update


def same_start(batch: list[Atoms]) -> tuple[list[Atoms], list[np.ndarray]]:
    """Return the geometries and velocities with which our engine begins."""
    runs = integrate(ours(), systems_of(batch), [Segment("nve", 0, 0.5, 1)])
    started = []
    for atoms, run in zip(batch, runs, strict=True):
        there = atoms.copy()
        there.positions = run.frames["nve"].positions[0]
        there.cell = 200.0 * np.eye(3)  # not periodic; TorchSim wants a cell that can be inverted
        started.append(there)
    return started, [run.frames["nve"].velocities[0] for run in runs]


def agreement(n_steps: int) -> dict[str, Any]:
    """Return the largest differences of positions, Å, and of interaction energies, eV, after so many steps."""
    started, velocities = same_start(acids(NAMES))
    looks = [n for n in (1, 10, 100, 1000) if n <= n_steps]
    runs = integrate(ours(), systems_of(acids(NAMES)), [Segment("nve", n_steps, 0.5, 1)])
    here = np.concatenate([run.frames["nve"].positions for run in runs], axis=1)
    state, update = torchsim_nve(torchsim_model(), started, velocities, 0.5)
    there, energies = {0: state.positions.detach().numpy().copy()}, {0: state.energy.detach().numpy().copy()}
    for step in range(1, n_steps + 1):
        state = update(state)
        if step in looks:
            there[step], energies[step] = state.positions.detach().numpy().copy(), state.energy.detach().numpy().copy()
    change = np.stack([run.frames["nve"].energies for run in runs], axis=1)
    change = change - change[0]
    ase = []
    for atoms, v in zip(started, velocities, strict=True):
        moving = Atoms(numbers=atoms.numbers, positions=atoms.positions, velocities=v)
        moving.calc = load_calculator(CHECKPOINT, device="cpu", dtype="float64")
        kept: list[np.ndarray] = []
        with VelocityVerlet(moving, 0.5 * units.fs) as dynamics:
            dynamics.attach(lambda m=moving, k=kept: k.append(m.positions.copy()))
            dynamics.run(n_steps)
        ase.append(np.array(kept))
    by_ase = np.concatenate(ase, axis=1)
    return {
        "molecules": list(NAMES),
        "ours_and_torchsim_A": {n: float(np.abs(here[n] - there[n]).max()) for n in looks},
        "ours_and_torchsim_energy_change_eV": {
            n: float(np.abs(change[n] - (energies[n] - energies[0])).max()) for n in looks
        },
        "ours_and_ase_A": {n: float(np.abs(here[n] - by_ase[n]).max()) for n in looks},
        "moved_A": {n: float(np.abs(here[n] - here[0]).max()) for n in looks},
    }


def energy_errors(duration_fs: float) -> dict[str, Any]:
    """Return the largest error of the total energy, eV, at three time steps with both integrators."""
    started, velocities = same_start(acids(NAMES[:2]))
    model, provider = torchsim_model(), ours()
    found: dict[str, dict[float, float]] = {"ours": {}, "torchsim": {}}
    for dt in (1.0, 0.5, 0.25):
        n_steps = round(duration_fs / dt)
        runs = integrate(provider, systems_of(acids(NAMES[:2])), [Segment("nve", n_steps, dt, 1)])
        total = [run.frames["nve"].energies + kinetic_energy(run.frames["nve"]) for run in runs]
        found["ours"][dt] = float(max(np.abs(e - e[0]).max() for e in total))
        state, update = torchsim_nve(model, started, velocities, dt)
        energies = []
        for step in range(n_steps + 1):
            state = update(state) if step else state
            kinetic = 0.5 * state.momenta.detach().square().sum(1) / state.masses
            by_system = torch.zeros(len(started), dtype=torch.float64).index_add(0, state.system_idx, kinetic)
            energies.append((state.energy.detach() + by_system).numpy())
        e = np.array(energies)
        found["torchsim"][dt] = float(np.abs(e - e[0]).max())
    orders = {
        name: [float(np.log2(by_dt[1.0] / by_dt[0.5])), float(np.log2(by_dt[0.5] / by_dt[0.25]))]
        for name, by_dt in found.items()
    }
    return {"largest_error_eV": found, "order_in_dt": orders}


class Wells(ModelInterface):
    """Every atom in its own well about the origin, E = k/2 x^2, for TorchSim."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k = k
        self._device, self._dtype = CPU, torch.float64
        self._compute_stress, self._compute_forces = False, True
        self._memory_scales_with = "n_atoms"

    def forward(self, state: Any) -> dict[str, torch.Tensor]:
        """Return energies (n_systems,) and forces (n_atoms, 3)."""
        x = state["positions"] if isinstance(state, dict) else state.positions
        idx = state["system_idx"] if isinstance(state, dict) else state.system_idx
        energy = torch.zeros(int(idx.max()) + 1, dtype=torch.float64)
        return {"energy": energy.index_add(0, idx, 0.5 * self.k * x.square().sum(1)), "forces": -self.k * x}


class OurWells(torch.nn.Module):
    """The same for our engine."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k = torch.nn.Parameter(torch.tensor(k, dtype=torch.float64))

    def forward(self, batch: Any) -> torch.Tensor:
        """Return atomic energies, (n_atoms,)."""
        return 0.5 * self.k * batch.positions.square().sum(1)


def langevin(n_steps: int) -> dict[str, Any]:
    """Return kinetic and configurational temperature over the asked one in harmonic wells, at two time steps."""
    k, n_atoms, friction = 3.0, 500, 0.1  # eV/Å^2; hydrogen atoms; 1/fs
    kT = 300.0 * units.kB
    start = np.random.default_rng(1).normal(scale=np.sqrt(kT / k), size=(n_atoms, 3))
    found: dict[str, Any] = {}
    for dt in (1.0, 3.0):
        system = System("wells", np.ones(n_atoms, dtype=int), start, seed=2, temperature_K=300.0)
        provider = PotentialForces(Potential(OurWells(k), cutoff=0.01, element_energies={1: 0.0}))
        segments = [Segment("warm", 60, dt, 0, friction), Segment("sample", n_steps, dt, 5, friction)]
        frames = integrate(provider, [system], segments)[0].frames["sample"]
        atoms = Atoms("H" * n_atoms, positions=start, cell=200.0 * np.eye(3))
        mass = float(atoms.get_masses()[0])
        init, update = nvt_langevin(
            Wells(k), dt=torch.tensor(dt * units.fs, dtype=torch.float64), kT=torch.tensor(kT, dtype=torch.float64),
            gamma=torch.tensor(friction / units.fs, dtype=torch.float64), seed=3,
        )  # fmt: skip
        state = init(ts.io.atoms_to_state([atoms], CPU, torch.float64))
        x2, p2 = [], []
        for step in range(60 + n_steps):
            state = update(state)
            if step >= 60 and step % 5 == 0:
                x2.append(float(state.positions.detach().square().mean()))
                p2.append(float(state.momenta.detach().square().mean()))
        omega_dt = np.sqrt(k / mass) * dt * units.fs
        n_independent = 3 * n_atoms * n_steps * dt / (2.0 / friction)
        found[f"{dt:g} fs"] = {
            "ours": {
                "configurational": k * float(np.mean(frames.positions**2)) / kT,
                "kinetic": mass * float(np.mean(frames.velocities**2)) / kT,
            },
            "torchsim": {"configurational": k * float(np.mean(x2)) / kT, "kinetic": float(np.mean(p2)) / mass / kT},
            "expected_of_BAOAB": {"configurational": 1.0, "kinetic": 1.0 - omega_dt**2 / 4},
            "standard_error": float(np.sqrt(2.0 / n_independent)),
        }
    return found


def speed(batches: tuple[int, ...], n_rounds: int, seconds: float) -> dict[str, Any]:
    """Return molecule-steps a second of both, in turns, and their ratios round by round."""
    from roads import molecules as mixed

    model, provider = torchsim_model(), ours()
    built, found = mixed(), {}
    for size in batches:
        batch = [built[i % len(built)] for i in range(size)]
        started, velocities = same_start(batch)
        rates: dict[str, list[float]] = {"ours": [], "torchsim": []}
        n_steps = 3
        for n_round in range(n_rounds + 1):
            state, update = torchsim_nve(model, started, velocities, 0.5)
            update(state)
            began = time.perf_counter()
            for _ in range(n_steps):
                state = update(state)
            there = (time.perf_counter() - began) / n_steps
            began = time.perf_counter()
            integrate(provider, systems_of(batch), [Segment("nve", n_steps, 0.5, 20)])
            here = (time.perf_counter() - began) / (n_steps + 1)
            if n_round == 0:  # to warm up, and to learn how many steps take the time
                n_steps = max(3, round(seconds / max(there, here)))
                continue
            rates["ours"].append(size / here)
            rates["torchsim"].append(size / there)
        ratio = np.array(rates["ours"]) / np.array(rates["torchsim"])
        found[size] = {**rates, "ratio": {"median": float(np.median(ratio)), "range": [ratio.min(), ratio.max()]}}
    return found


@click.command()
@click.option("--steps", type=click.IntRange(10), default=1000, show_default=True)
@click.option("--seconds", type=float, default=3.0, show_default=True, help="About what one timing takes.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results" / "witness.json", show_default=True)
def main(steps: int, seconds: float, out: Path) -> None:
    """Compare, and write what was seen as JSON."""
    found: dict[str, Any] = {"machine": {**description(), "torch-sim-atomistic": version("torch-sim-atomistic")}}
    for name, take in (
        ("agreement", lambda: agreement(steps)),
        ("energy_errors", lambda: energy_errors(0.1 * steps)),
        ("langevin", lambda: langevin(steps)),
        ("speed_molecule_steps_per_s", lambda: speed((1, 8, 64), 3, seconds)),
    ):
        found[name] = take()
        click.echo(f"{name}: {json.dumps(found[name])}")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
