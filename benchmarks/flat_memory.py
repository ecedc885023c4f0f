"""Is memory flat over a long run? 100,000 steps with frames streamed to disk, the memory of the process at intervals.

    python benchmarks/flat_memory.py
    python benchmarks/flat_memory.py --checkpoint checkpoints/schnet-duplication.pt

Without a checkpoint the molecules are atoms on springs, so that the engine is all there is.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import numpy as np
import torch
from machine import description, resident_MiB
from roads import molecules
from torch import Tensor, nn

from gmd26_md.calculators import load_checkpoint
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.potential import Potential
from gmd26_md.dynamics.engine import Segment, System, stream
from gmd26_md.dynamics.forces import PotentialForces

_BINS = 10


class Springs(nn.Module):
    """A spring between every two atoms, at their first distances."""

    def __init__(self, lengths: Tensor) -> None:
        super().__init__()
        self.lengths = nn.Parameter(lengths)

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,)."""
        stretch = batch.pair_vectors().square().sum(1).sqrt() - self.lengths
        return torch.zeros_like(batch.positions[:, 0]).index_add(0, batch.pairs[0], 2.0 * stretch * stretch)


def springs_of(atoms: object) -> PotentialForces:
    """Return springs that fit one molecule."""
    positions = torch.as_tensor(atoms.positions)  # type: ignore[attr-defined]
    apart = torch.cdist(positions, positions)
    lengths = apart[~torch.eye(len(positions), dtype=torch.bool)]
    elements = dict.fromkeys(map(int, atoms.numbers), 0.0)  # type: ignore[attr-defined]
    return PotentialForces(Potential(Springs(lengths), cutoff=100.0, element_energies=elements))


@click.command()
@click.option("--checkpoint", type=click.Path(exists=True, path_type=Path), default=None)
@click.option("--steps", type=click.IntRange(_BINS), default=100_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Write what was seen as JSON.")
def main(checkpoint: Path | None, steps: int, out: Path | None) -> None:
    """Run, and print the memory of the process ten times."""
    atoms = min(molecules(), key=len)
    if checkpoint is None:
        provider = springs_of(atoms)
    else:
        provider = PotentialForces(load_checkpoint(checkpoint).potential(torch.device("cpu"), "float64"))
    system = System("one", atoms.numbers, atoms.positions, seed=1, temperature_K=300.0)
    every = 10
    seen: list[tuple[int, float | None]] = []

    def look(_: System, __: str, index: int, ___: np.ndarray) -> None:
        step = index * every
        if step and step % (steps // _BINS) == 0:
            seen.append((step, resident_MiB()))
            click.echo(f"step {step}: {seen[-1][1]:.1f} MiB")

    with tempfile.TemporaryDirectory() as folder:
        segment = Segment("nvt", steps, 0.5, every, friction_per_fs=0.01)
        on_disk = 0
        for run in stream(provider, [system], [segment], folder=Path(folder) / "work", on_frame=look):
            on_disk = sum(f.stat().st_size for f in (Path(folder) / "work").iterdir())
            assert run.stopped is None, run.reason
    settled = [memory for _, memory in seen[1:] if memory is not None]
    growth = max(settled) - min(settled) if settled else float("nan")
    click.echo(
        f"{on_disk / 2**20:.1f} MiB of frames went to disk; memory moved by {growth:.1f} MiB after the first tenth"
    )
    if out is not None:
        found = {"machine": description(), "steps": steps, "model": str(checkpoint or "springs"), "MiB": seen}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found | {"frames_on_disk_MiB": on_disk / 2**20}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
