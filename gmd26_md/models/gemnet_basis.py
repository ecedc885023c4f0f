"""GemNet's functions of a distance: the envelope, and the radial basis whose frequencies are learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def envelope(x: Tensor, exponent: int) -> Tensor:
    """Return the polynomial that falls from 1 at x = 0 to 0 at x = 1 with two zero derivatives there; 0 beyond.

    Gasteiger, Groß, Günnemann, ICLR 2020, equation 8, with p = `exponent`; x is distance over cutoff, of any shape.
    """
    p = exponent
    x = x.clamp(max=1.0)
    return 1.0 + x**p * (-0.5 * (p + 1) * (p + 2) + x * (p * (p + 2) - x * (0.5 * p * (p + 1))))


class RadialBasis(nn.Module):
    """sqrt(2 / c) sin(f_n d / c) / d times the envelope, with learned frequencies f_n that start at n pi.

    Gasteiger, Groß, Günnemann, ICLR 2020, equation 7.

    Parameters
    ----------
    num_radial
        Number of functions.
    cutoff
        c, Å.
    envelope_exponent
        p of the envelope.
    """

    def __init__(self, num_radial: int, cutoff: float, envelope_exponent: int) -> None:
        super().__init__()
        self.cutoff, self.envelope_exponent = cutoff, envelope_exponent
        self.frequencies = nn.Parameter(math.pi * torch.arange(1, num_radial + 1, dtype=torch.get_default_dtype()))

    def forward(self, distance: Tensor) -> Tensor:
        """Return the functions of distances (n_pairs,), Å, as (n_pairs, num_radial)."""
        x = distance / self.cutoff
        height = envelope(x, self.envelope_exponent) * (math.sqrt(2.0 / self.cutoff) / distance)
        return torch.sin(x[:, None] * self.frequencies) * height[:, None]
