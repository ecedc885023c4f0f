"""What a network knows of each atom just before it says an energy: its latent space.

A family file that has one offers `features(network, batch)`: numbers of each atom, (n_atoms, n_features), that do not
change when the molecule is moved, turned, or its atoms are renumbered with their rows. They are what goes into the part
that makes energies of them, caught on the way: nothing is computed twice and no architecture knows of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gmd26_md.calculators import families
from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.potential import Potential
from gmd26_md.errors import UserError

MAX_ATOMS_AT_ONCE = 1200  # as in `dynamics.predict`: a batch that fits any machine


@contextmanager
def inputs_of(modules: Iterable[nn.Module]) -> Iterator[list[Any]]:
    """Yield a list to which each call of these modules adds its first argument, in the order of the calls."""
    seen: list[Any] = []
    handles = [module.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def latent_features(family: str, potential: Potential, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a model's features of every atom of some frames of one molecule, (n_frames, n_atoms, n_features).

    Parameters
    ----------
    family
        Whose network stands in `potential`.
    potential
        The model; a frozen one, in the precision wanted.
    numbers
        Atomic numbers, (n_atoms,), all of which it knows.
    positions
        (n_frames, n_atoms, 3), Å.

    Raises
    ------
    UserError
        If the family offers no features.
    """
    features = features_of(family)
    like = next(potential.network.parameters())
    found = []
    size = max(1, MAX_ATOMS_AT_ONCE // len(numbers))
    for start in range(0, len(positions), size):
        some = positions[start : start + size]
        flat = torch.as_tensor(some.reshape(-1, 3), dtype=like.dtype, device=like.device)
        batch = Layout.of([numbers] * len(some), device=like.device).batch(flat, potential.cutoff)
        with torch.no_grad():
            rows = features(potential.network, batch)
        found.append(rows.double().cpu().numpy().reshape(*some.shape[:2], -1))
    return np.concatenate(found)


def features_of(family: str) -> Callable[[nn.Module, Batch], Tensor]:
    """Return a family's function `features`.

    Raises
    ------
    UserError
        If it has none.
    """
    features: Callable[[nn.Module, Batch], Tensor] | None = getattr(families.family_module(family), "features", None)
    if features is None:
        raise UserError(
            f"family {family} does not show features of its atoms (its file has no function 'features'); measure in "
            "SOAP space alone, with --space soap."
        )
    return features
