"""The ways in which the same molecules are moved, each a function that takes its own time.

ASE's loops move one molecule at a time and give seconds a step for each molecule; the bare model and the engine take a
batch and give seconds a step for all of it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet

from gmd26_md import tasks
from gmd26_md.calculators import load_calculator, load_checkpoint
from gmd26_md.calculators._mace_import import mace_imports
from gmd26_md.calculators._schnetpack import import_schnetpack
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.calculators.side_effects import contained
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import PotentialForces

TIMESTEP_FS = 0.5
FRAMES_EVERY = 20


def molecules() -> list[Atoms]:
    """Return the acids and dicarboxylic acids of duplication, mixed: every part of the list has small and large."""
    built = [m.atoms() for m in tasks.get("duplication").molecules]
    return [built[i] for i in np.random.default_rng(0).permutation(len(built))]


def potential_of(checkpoint: Path, dtype: str) -> Potential:
    """Return the checkpoint's potential on the CPU, without parameter gradients."""
    return load_checkpoint(checkpoint).potential(torch.device("cpu"), dtype).requires_grad_(False)


def ase_loop(calculator: Calculator, atoms: Atoms, n_steps: int) -> float:
    """Return seconds a step of ASE's velocity Verlet, after two steps to warm up."""
    moving = atoms.copy()
    moving.calc = calculator
    with VelocityVerlet(moving, TIMESTEP_FS * units.fs) as dynamics:
        dynamics.run(2)
        began = time.perf_counter()
        dynamics.run(n_steps)
        return (time.perf_counter() - began) / n_steps


def our_calculator(checkpoint: Path, dtype: str) -> Calculator:
    """Return our ASE calculator."""
    calculator: Calculator = load_calculator(checkpoint, device="cpu", dtype=dtype)
    return calculator


def vendor_calculators(family: str, checkpoint: Path, dtype: str) -> dict[str, Calculator]:
    """Return the vendor's own calculators with the checkpoint's weights, by name; none for DeepSet-MoE."""
    potential = load_checkpoint(checkpoint).potential(torch.device("cpu"), dtype)
    if family == "mace":
        return {"MACECalculator": _mace(potential, dtype)}
    if family in ("schnet", "painn"):
        lists = ("MatScipyNeighborList", "ASENeighborList")
        return {name: _Schnetpack(potential, name, dtype) for name in lists}
    return {}


def _mace(potential: Potential, dtype: str) -> Calculator:
    with mace_imports():
        from mace.calculators import MACECalculator
    with contained():
        vendor = copy.deepcopy(potential.network).vendor
        calculator: Calculator = MACECalculator(models=[vendor], device="cpu", default_dtype=dtype)
    return calculator


class _Schnetpack(Calculator):
    """Schnetpack's converter, neighbour list, model and Forces module behind ASE.

    Its own SpkCalculator, which does the same, cannot be made: torch >= 2.6 refuses its whole-model pickle.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, potential: Potential, neighbours: str, dtype: str) -> None:
        super().__init__()
        spk = import_schnetpack()
        network: Any = copy.deepcopy(potential.network)
        head = spk.atomistic.Atomwise(n_in=network.atomwise.outnet[0].in_features, output_key="energy")
        head.outnet.load_state_dict(network.atomwise.outnet.state_dict())
        self.model = spk.model.NeuralNetworkPotential(
            representation=network.representation,
            input_modules=[spk.atomistic.PairwiseDistances()],
            output_modules=[head, spk.atomistic.Forces()],
        ).to(getattr(torch, dtype))
        make = getattr(spk.transform, neighbours)
        self.convert = spk.interfaces.AtomsConverter(
            neighbor_list=make(cutoff=potential.cutoff), dtype=getattr(torch, dtype)
        )

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        """Evaluate, as ASE asks for it."""
        super().calculate(atoms, properties, system_changes)
        found = self.model(self.convert(atoms))
        self.results = {"energy": float(found["energy"].detach()[0]), "forces": found["forces"].detach().numpy()}


def bare_model(potential: Potential, batch: Sequence[Atoms]) -> Callable[[], object]:
    """Return the bare model on a fixed batch, pairs at hand, in one call: nothing else."""
    layout = Layout.of([a.numbers for a in batch])
    dtype = next(potential.parameters()).dtype
    positions = torch.as_tensor(np.concatenate([a.positions for a in batch]), dtype=dtype)
    ready = layout.batch(positions, potential.cutoff)
    return lambda: energy_and_forces(potential, ready)


def shards_alone(provider: PotentialForces, batch: Sequence[Atoms]) -> Callable[[], object]:
    """Return the engine's own forces on a fixed batch: shards on threads, with their pairs; no dynamics."""
    bound = provider.bind([a.numbers for a in batch])
    positions = torch.as_tensor(np.concatenate([a.positions for a in batch]))
    return lambda: bound(positions)


def seconds_a_call(call: Callable[[], object], n: int) -> float:
    """Return seconds a call, of `n` calls after one to warm up."""
    call()
    began = time.perf_counter()
    for _ in range(n):
        call()
    return (time.perf_counter() - began) / n


def engine(provider: PotentialForces, batch: Sequence[Atoms], n_steps: int, friction_per_fs: float = 0.0) -> float:
    """Return seconds a force call of the engine, everything included: set-up, checks, frames every 20 steps."""
    systems = [System(str(i), a.numbers, a.positions, seed=i, temperature_K=300.0) for i, a in enumerate(batch)]
    segment = Segment("run", n_steps, TIMESTEP_FS, FRAMES_EVERY, friction_per_fs)
    began = time.perf_counter()
    integrate(provider, systems, [segment])
    return (time.perf_counter() - began) / (n_steps + 1)
