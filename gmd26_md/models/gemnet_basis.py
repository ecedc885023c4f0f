"""The basis functions of GemNet and DimeNet: of a distance, and of an angle by its cosine.

Spherical Bessel functions are not written out in sines and cosines, which cancel at short distances (in float32 nothing
is left of j_6 below 1 Å); nor are angles ever taken, as the derivative of an arc cosine is infinite where three atoms
lie on a line.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
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


class SphericalBesselBasis(nn.Module):
    """Spherical Bessel functions j_l(z_ln d / c), normalised in the ball of radius c, times the envelope.

    z_ln is the n-th zero of j_l, so that each function is zero at the cutoff. Gasteiger, Groß, Günnemann, ICLR 2020,
    equation 6, the radial part. Each function is summed from Chebyshev polynomials in d / c, whose coefficients are
    found once, in float64: exact to rounding everywhere, and as often differentiable as one likes.

    Parameters
    ----------
    num_spherical, num_radial
        Degrees l = 0, 1, ... and zeros n = 1, 2, ... of each.
    cutoff, envelope_exponent
        c, Å, and p of the envelope.
    """

    coefficients: Tensor

    def __init__(self, num_spherical: int, num_radial: int, cutoff: float, envelope_exponent: int) -> None:
        super().__init__()
        self.cutoff, self.envelope_exponent = cutoff, envelope_exponent
        coefficients = _chebyshev_coefficients(num_spherical, num_radial) / cutoff**1.5
        self.register_buffer("coefficients", torch.as_tensor(coefficients), persistent=False)

    def forward(self, distance: Tensor, weights: Tensor) -> Tensor:
        """Return for each degree a mixture of its functions, (n_pairs, num_spherical, n_out).

        Parameters
        ----------
        distance
            (n_pairs,), Å.
        weights
            Of the mixture, (num_spherical, num_radial, n_out).
        """
        x = distance / self.cutoff
        polynomials = envelope(x, self.envelope_exponent)[:, None] * chebyshev(2.0 * x - 1.0, len(self.coefficients))
        mixed = torch.einsum("kln,lno->klo", self.coefficients.to(weights.dtype), weights)
        return (polynomials @ mixed.flatten(1)).view(-1, *mixed.shape[1:])


def chebyshev(u: Tensor, n: int) -> Tensor:
    """Return the Chebyshev polynomials T_0 to T_(n - 1) of u, (m,), in -1 to 1, as (m, n).

    By T_(k + j) = 2 T_k T_j - T_(k - j), which doubles their number at a time.
    """
    known = torch.stack([torch.ones_like(u), u], dim=1)
    while known.shape[1] < n:
        more = 2.0 * known[:, -1:] * known[:, 1:] - known[:, :-1].flip(1)
        known = torch.cat([known, more], dim=1)
    return known[:, :n]


def legendre_harmonics(cosine: Tensor, n_degrees: int, dim: int) -> Tensor:
    """Return Y_l0 = sqrt((2 l + 1) / (4 pi)) P_l of cosines, of any shape, stacked along a new axis `dim`.

    P_l by Bonnet's recursion: polynomials, as smooth on a line as anywhere.
    """
    legendre = [torch.ones_like(cosine), cosine][:n_degrees]
    for degree in range(2, n_degrees):
        before, last = legendre[-2:]
        legendre.append(((2 * degree - 1) / degree) * (cosine * last) - ((degree - 1) / degree) * before)
    normalised = [math.sqrt((2 * degree + 1) / (4.0 * math.pi)) * p for degree, p in enumerate(legendre)]
    return torch.stack(normalised, dim=dim)


def spherical_bessel_zeros(n_degrees: int, n_zeros: int) -> NDArray[np.float64]:
    """Return the first positive zeros of j_0, j_1, ..., (n_degrees, n_zeros).

    Those of one degree lie one each between those of the degree below.
    """
    from scipy.optimize import brentq
    from scipy.special import spherical_jn

    below = np.pi * np.arange(1, n_zeros + n_degrees)
    rows = [below]
    for degree in range(1, n_degrees):
        brackets = itertools.pairwise(below)
        below = np.array([brentq(lambda z, d=degree: spherical_jn(d, z), a, b, xtol=1e-14) for a, b in brackets])
        rows.append(below)
    return np.stack([row[:n_zeros] for row in rows])


def _chebyshev_coefficients(num_spherical: int, num_radial: int) -> NDArray[np.float64]:
    """Return the coefficients of the functions of d / c, (n_polynomials, num_spherical, num_radial)."""
    from scipy.special import spherical_jn

    zeros = spherical_bessel_zeros(num_spherical, num_radial)
    n = int(zeros.max() / 2.0) + 24  # beyond half the highest frequency, coefficients fall faster than any power
    angles = np.pi * (np.arange(n) + 0.5) / n
    x = 0.5 * (np.cos(angles) + 1.0)
    degrees = np.arange(num_spherical)[:, None]
    norms = math.sqrt(2.0) / np.abs(spherical_jn(degrees + 1, zeros))
    values = norms * spherical_jn(degrees, x[:, None, None] * zeros)  # (n, num_spherical, num_radial)
    cosines = np.cos(np.arange(n)[:, None] * angles) * (2.0 / n)
    cosines[0] /= 2.0
    return np.asarray(np.einsum("kx,xln->kln", cosines, values))
