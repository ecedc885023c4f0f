"""Are long steps with heavy hydrogen free of resonance? One bond, stretched alone, against Boltzmann's law.

A bond to hydrogen is scanned with GFN2-xTB along its own axis. The energies give the exact distribution of its length
at 500 K, with the anharmonicity that a resonance between step and vibration would feed on, and the force of a
one-dimensional copy that BAOAB moves with each step and mass. Printed: mean, spread and the parts beyond three, four
and five standard deviations. With --data also those of all such bonds in data that were made, 10 fs apart. Half a
minute, two with --data, which also prints how far changes of the energy are off the work of the forces, before and
after `verify` takes away what bonds softer than springs leave:

    python benchmarks/stretched_bonds.py --data data
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from ase.data import atomic_masses, chemical_symbols
from ase.units import fs, kB
from scipy.interpolate import CubicSpline

from gmd26_md import molecules
from gmd26_md.calculators import load_calculator
from gmd26_md.datasets.energy_checks import changes, off_work
from gmd26_md.datasets.store import read_frames
from gmd26_md.observables.bonds import bond_graph, pair_distances
from gmd26_md.reference.minima import relaxed

TEMPERATURE_K, FRICTION_PER_FS = 500.0, 0.01
WAYS = ((1.0, 1.008), (2.0, 4.0), (2.5, 4.0), (10.0 / 3.0, 4.0), (2.0, 1.008))
"""Time step in fs, mass of hydrogen in u."""
BONDS = (("ethanedioic acid", 8), ("ethanamine", 7), ("ethanol", 6))
BEYOND = (3.0, 4.0, 5.0)
N_COPIES, N_FRAMES = 10_000, 400


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=None, help="Folder of data generate.")
def main(data: Path | None) -> None:
    """Print a line for each bond and way, then one for each element in the data."""
    for name, heavy in BONDS:
        scan, start = scanned(name, heavy)
        lengths = np.linspace(0.75, 1.55, 20_001)
        weights = np.exp(-scan(lengths) / (kB * TEMPERATURE_K))
        weights /= weights.sum()
        mean = float(weights @ lengths)
        spread = float(np.sqrt(weights @ (lengths - mean) ** 2))
        limits = [mean + n * spread for n in BEYOND]
        label = f"{chemical_symbols[heavy]}-H of {name}"
        click.echo(f"{label}, Boltzmann: {row(mean, spread, [weights[lengths > limit].sum() for limit in limits])}")
        for timestep_fs, mass_u in WAYS:
            seen = moved(scan, start, 1.0 / (1.0 / mass_u + 1.0 / atomic_masses[heavy]), timestep_fs)
            how = f"{label}, {timestep_fs:.2f} fs, {mass_u:g} u"
            if not np.isfinite(seen).all():
                click.echo(f"{how}: flies apart")
                continue
            click.echo(f"{how}: {row(seen.mean(), seen.std(), [(seen > limit).mean() for limit in limits])}")
    if data is not None:
        for heavy, lengths in sampled(data).items():
            off = np.concatenate([(x - x.mean()) / x.std() for x in lengths])
            parts = [float((off > n).mean()) for n in BEYOND]
            mean, spread = np.mean([x.mean() for x in lengths]), np.mean([x.std() for x in lengths])
            click.echo(f"{chemical_symbols[heavy]}-H in {data}, {off.size} lengths: {row(mean, spread, parts)}")
        click.echo(softness(data))


def softness(data: Path) -> str:
    """Return what least squares makes of softer bonds, and the spread of what is left with each way, in words."""
    names = ("C-H", "N-H", "O-H", "others")
    off, left, cubes = [], [], []
    for path in sorted(data.glob("gfn2-xtb/*/minimum.extxyz")):
        minimum = read_frames(path)
        pairs = bond_graph(minimum.numbers, minimum.positions[0]).bonds
        kinds = [[is_bond(minimum.numbers[p], heavy) for p in pairs] for heavy in (6, 7, 8)]
        kinds.append([not any(kind) for kind in zip(*kinds, strict=True)])
        for stage in ("primary", "secondary"):
            frames = read_frames(path.with_name(f"{stage}.extxyz"))
            change, work = changes(frames)
            off.append(change - work)
            left.append(off_work(frames, pairs))
            grown = np.diff(pair_distances(frames.positions, pairs), axis=0) ** 3
            cubes.append(np.stack([grown[:, kind].sum(axis=1) for kind in kinds], axis=1))
    one, all_off = np.concatenate(cubes), np.concatenate(off)
    fitted = np.linalg.lstsq(one, all_off, rcond=None)[0]
    words = ", ".join(f"{name} {value:.1f}" for name, value in zip(names, fitted, strict=True))
    spreads = [float(x.std()) for x in (all_off, all_off - one @ fitted, np.concatenate(left))]
    return (
        f"{all_off.size} changes of the energy off the work: spread {spreads[0]:.3f} eV; less cubes of bonds' changes, "
        f"fitted, eV/Å³ ({words}), {spreads[1]:.3f} eV; less what verify takes, {spreads[2]:.3f} eV"
    )


def row(mean: float, spread: float, parts: list[float]) -> str:
    """Return the numbers of one way, in words."""
    beyond = ", ".join(f"{n:g}: {part:.2g}" for n, part in zip(BEYOND, parts, strict=True))
    return f"{mean:.5f} Å, spread {spread:.5f}; beyond standard deviations {beyond}"


def scanned(name: str, heavy: int) -> tuple[CubicSpline, float]:
    """Return the energy, eV above the least, over the length of a bond to hydrogen, and its length at rest, Å."""
    calculator = load_calculator("gfn2-xtb", accuracy=0.01)
    atoms = molecules.get(name).atoms()
    found = relaxed(atoms, calculator, 0.01)
    if found is None:
        raise click.ClickException(f"{name} does not relax.")
    atoms.positions, atoms.calc = found.positions[0], calculator
    pairs = bond_graph(atoms.numbers, atoms.positions).bonds
    first, second = next(sorted(p, key=lambda i: -atoms.numbers[i]) for p in pairs if is_bond(atoms.numbers[p], heavy))
    away = atoms.positions[second] - atoms.positions[first]
    rest = float(np.linalg.norm(away))
    lengths, energies = np.linspace(0.7, 1.7, 80), []
    for length in lengths:
        atoms.positions[second] = atoms.positions[first] + away * length / rest
        energies.append(atoms.get_potential_energy())
    return CubicSpline(lengths, np.array(energies) - min(energies)), rest


def is_bond(numbers: np.ndarray, heavy: int) -> bool:
    """Return whether two atoms are hydrogen and the other element."""
    return sorted(numbers.tolist()) == [1, heavy]


def moved(scan: CubicSpline, start: float, mass_u: float, timestep_fs: float) -> np.ndarray:
    """Return lengths of copies of the bond every 10 fs, moved by BAOAB, after 1 ps that is thrown away, Å."""
    random = np.random.default_rng(0)
    step, heat = timestep_fs * fs, np.sqrt(kB * TEMPERATURE_K / mass_u)
    kept = np.exp(-FRICTION_PER_FS * timestep_fs)
    x, v = np.full(N_COPIES, start), heat * random.standard_normal(N_COPIES)
    force = -scan(x, 1)
    every, warm, frames = round(10.0 / timestep_fs), round(1000.0 / timestep_fs), []
    with np.errstate(all="ignore"):
        for done in range(1, warm + N_FRAMES * every + 1):
            v += 0.5 * step * force / mass_u
            x = x + 0.5 * step * v
            v = kept * v + np.sqrt(1.0 - kept**2) * heat * random.standard_normal(N_COPIES)
            x = x + 0.5 * step * v
            force = -scan(x, 1)
            v += 0.5 * step * force / mass_u
            if done > warm and (done - warm) % every == 0:
                frames.append(x)
    return np.concatenate(frames)


def sampled(data: Path) -> dict[int, list[np.ndarray]]:
    """Return the lengths of all bonds to hydrogen, by heavy element, an array for each trajectory."""
    found: dict[int, list[np.ndarray]] = {}
    for path in sorted(data.glob("gfn2-xtb/*/minimum.extxyz")):
        minimum = read_frames(path)
        pairs = bond_graph(minimum.numbers, minimum.positions[0]).bonds
        for stage in ("primary", "secondary"):
            positions = read_frames(path.with_name(f"{stage}.extxyz")).positions
            for heavy in (6, 7, 8):
                here = [p for p in pairs if is_bond(minimum.numbers[p], heavy)]
                if here:
                    found.setdefault(heavy, []).append(pair_distances(positions, np.array(here)).ravel())
    return found


if __name__ == "__main__":
    main()
