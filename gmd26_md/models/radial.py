"""Functions of one distance: radial bases, the cutoff envelope, and the gates that share out the distances."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def bessel_basis(distance: Tensor, cutoff: float, n_radial: int) -> Tensor:
    """Return spherical Bessel functions sqrt(2/c) sin(n pi d / c) / d, (n_pairs, n_radial).

    Gasteiger, Groß, Günnemann, ICLR 2020, equation 7. Every one is zero at the cutoff, not so its slope: multiply
    by `cutoff_envelope`.
    """
    order = torch.arange(1, n_radial + 1, dtype=distance.dtype, device=distance.device)
    angle = distance[:, None] * (order * (math.pi / cutoff))  # (n_pairs, n_radial)
    return torch.sin(angle) * (math.sqrt(2.0 / cutoff) / distance)[:, None]


def gaussian_basis(distance: Tensor, cutoff: float, n_radial: int) -> Tensor:
    """Return Gaussians evenly spaced from 0.5 Å to the cutoff, as wide as their spacing, (n_pairs, n_radial)."""
    start = min(0.5, 0.1 * cutoff)
    spacing = (cutoff - start) / max(n_radial - 1, 1)
    centres = start + spacing * torch.arange(n_radial, dtype=distance.dtype, device=distance.device)
    return torch.exp(-0.5 * ((distance[:, None] - centres) / spacing) ** 2)


def cutoff_envelope(distance: Tensor, cutoff: float) -> Tensor:
    """Return the polynomial that falls from 1 at zero to 0 at the cutoff, with two zero derivatives there, (n_pairs,).

    Gasteiger, Groß, Günnemann, ICLR 2020, equation 8, with p = 6. Zero beyond the cutoff.
    """
    x = (distance / cutoff).clamp(max=1.0)
    x6 = x**6
    return 1.0 - 28.0 * x6 + 48.0 * x6 * x - 21.0 * x6 * x * x


def shell_gates(distance: Tensor, boundaries: Sequence[float], overlap: float) -> Tensor:
    """Return the weight of each distance shell for each pair, (n_pairs, n_boundaries + 1).

    Neighbouring shells cross over within `overlap` (Å) around their boundary, by a polynomial step with three zero
    derivatives at its ends; elsewhere one weight is exactly one. The weights of a pair are not negative and sum to
    one, as the sum telescopes.
    """
    edges = torch.tensor(tuple(boundaries), dtype=distance.dtype, device=distance.device)
    x = ((distance[:, None] - edges) / overlap + 0.5).clamp(0.0, 1.0)
    beyond = x**4 * (35.0 + x * (-84.0 + x * (70.0 - 20.0 * x)))  # (n_pairs, n_boundaries)
    one = torch.ones_like(distance)[:, None]
    return torch.cat([one, beyond], dim=1) - torch.cat([beyond, torch.zeros_like(one)], dim=1)
