"""Heavy hydrogen and long steps against hydrogen's own mass and short ones: is the same distribution sampled?

Masses do not enter the distribution of positions, time steps do. Printed for each pair of step and mass: the mean
potential energy with the standard error of twenty blocks, its spread, and mean, spread and longest of the bonds to
hydrogen. GFN2-xTB, 500 K, friction 0.01/fs, as `gmd26-md data generate` samples. Minutes a molecule:

    python benchmarks/heavy_hydrogen.py "ethanoic acid" ethanol --run-ps 60
"""

from __future__ import annotations

import click
import numpy as np
from ase.data import chemical_symbols
from ase.neighborlist import natural_cutoffs, neighbor_list

from gmd26_md import molecules
from gmd26_md.calculators import load_calculator
from gmd26_md.datasets.sample import SamplingSettings, masses_of
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces

WAYS = ((0.5, 1.008), (1.0, 1.008), (2.0, 4.0), (2.5, 4.0), (2.0, 1.008), (10.0 / 3.0, 4.0))
"""Time step in fs, mass of hydrogen in u."""
N_BLOCKS = 20


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--run-ps", type=float, default=60.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--way", "ways", type=(float, float), multiple=True, default=WAYS, help="Step in fs and mass in u.")
def main(names: tuple[str, ...], run_ps: float, seed: int, ways: tuple[tuple[float, float], ...]) -> None:
    """Print a line for each molecule and way."""
    for name in names:
        for timestep_fs, mass_u in ways:
            click.echo(
                f"{name}, {timestep_fs:.2f} fs, {mass_u:g} u: {sampled(name, timestep_fs, mass_u, run_ps, seed)}"
            )


def sampled(name: str, timestep_fs: float, mass_u: float, run_ps: float, seed: int) -> str:
    """Return what one way samples, in words."""
    atoms = molecules.get(name).atoms()
    masses = masses_of(atoms.numbers, SamplingSettings(hydrogen_mass_u=mass_u))
    segments = [
        Segment("warm", round(2000 / timestep_fs), timestep_fs, 0, 0.01),
        Segment("sample", round(1000 * run_ps / timestep_fs), timestep_fs, max(1, round(10 / timestep_fs)), 0.01),
    ]
    system = System(name, atoms.numbers, atoms.positions, seed, 500.0, masses=masses)
    provider = AseForces(lambda: load_calculator("gfn2-xtb", accuracy=1.0, warm_start=True))
    run = integrate(provider, [system], segments)[0]
    if run.stopped is not None:
        return f"{run.stopped} at {run.stopped_at_fs:.0f} fs: {run.reason}"
    frames = run.frames["sample"]
    blocks = np.array([block.mean() for block in np.array_split(frames.energies, N_BLOCKS)])
    error = blocks.std(ddof=1) / np.sqrt(N_BLOCKS)
    words = [
        f"energy {1e3 * (frames.energies.mean()):.1f} ± {1e3 * error:.1f} meV, spread {1e3 * frames.energies.std():.1f}"
    ]
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2))
    for heavy in (6, 7, 8):
        here = (atoms.numbers[first] == heavy) & (atoms.numbers[second] == 1)
        if here.any():
            apart = np.linalg.norm(frames.positions[:, first[here]] - frames.positions[:, second[here]], axis=-1)
            bond = f"{chemical_symbols[heavy]}-H {apart.mean():.5f} Å, spread {apart.std():.5f}"
            words.append(f"{bond}, longest {apart.max():.3f}")
    return "; ".join(words)


if __name__ == "__main__":
    main()
