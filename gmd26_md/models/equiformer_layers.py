"""Layers of EquiformerV2: linear layers on degrees and on orders, the separable layer norm, radial functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def degree_of_coefficients(lmax: int) -> Tensor:
    """Return the degree of each coefficient, ((lmax + 1)**2,), int64."""
    return torch.tensor([degree for degree in range(lmax + 1) for _ in range(2 * degree + 1)])


def normal_linear(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer with weights of standard deviation 1 / sqrt(n_in) and no bias at first."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    nn.init.normal_(layer.weight, std=1.0 / math.sqrt(n_in))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class DegreeLinear(nn.Module):
    """One matrix a degree on the channels, and a bias on the scalars: (n, (lmax + 1)**2, n_in) to (..., n_out)."""

    def __init__(self, n_in: int, n_out: int, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.weight = nn.Parameter(torch.randn(lmax + 1, n_out, n_in) / math.sqrt(n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, features: Tensor) -> Tensor:
        """Return the mixed features."""
        parts = []
        for degree in range(self.lmax + 1):
            part = features[:, degree**2 : (degree + 1) ** 2] @ self.weight[degree].T
            parts.append(part + self.bias if degree == 0 else part)
        return torch.cat(parts, dim=1)


class OrderLinear(nn.Module):
    """An SO(2) linear layer: mixes degrees and channels of equal order, in an edge's frame.

    Passaro, Zitnick, ICML 2023, section 3.1: coefficients of orders +m and -m are the parts of a complex number, which
    is multiplied by complex weights.

    Parameters
    ----------
    n_in, n_out
        Channels.
    lmax, mmax
        Features are (n_edges, n_kept, channels) in the layout of `equiformer_sphere.kept`.
    n_extra
        Scalars that come out beside the features.
    scalars_only
        Of the features, only degree 0 comes out: (n_edges, 1, n_out).
    """

    def __init__(
        self, n_in: int, n_out: int, lmax: int, mmax: int, *, n_extra: int = 0, scalars_only: bool = False
    ) -> None:
        super().__init__()
        self.n_out, self.n_extra = n_out, n_extra
        self.n_zero_out = 1 if scalars_only else lmax + 1
        self.widths = [lmax - m + 1 for m in range(mmax + 1)]  # degrees of each order
        self.zero = normal_linear((lmax + 1) * n_in, self.n_zero_out * n_out + n_extra)
        with_pairs = [] if scalars_only else self.widths[1:]
        self.pairs = nn.ModuleList(normal_linear(n * n_in, 2 * n * n_out, bias=False) for n in with_pairs)
        self.n_weights = sum(self.widths) * n_in

    def forward(self, features: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return features (n_edges, n_kept, n_out) and extra scalars (n_edges, n_extra).

        Parameters
        ----------
        features
            (n_edges, n_kept, n_in).
        weights
            Factors of each degree, order and channel that come in, (n_edges, n_weights), the same for +m and -m.
        """
        n_edges, n_in, widths = len(features), features.shape[2], self.widths
        blocks = features.split([widths[0], *(2 * n for n in widths[1:])], dim=1)
        factors = None if weights is None else weights.split([n * n_in for n in widths], dim=1)
        first = blocks[0].flatten(1)
        mixed = self.zero(first if factors is None else first * factors[0])
        extra, zero = mixed.split([self.n_extra, self.n_zero_out * self.n_out], dim=1)
        out = [zero.unflatten(1, (self.n_zero_out, self.n_out))]
        for m, layer in enumerate(self.pairs, start=1):
            both = blocks[m].reshape(n_edges, 2, widths[m] * n_in)
            mixed = layer(both if factors is None else both * factors[m][:, None])
            real, imaginary = mixed.chunk(2, dim=2)
            plus, minus = real[:, 0] - imaginary[:, 1], real[:, 1] + imaginary[:, 0]
            out.append(torch.cat([plus, minus], dim=1).unflatten(1, (2 * widths[m], self.n_out)))
        return torch.cat(out, dim=1), extra


class SeparableLayerNorm(nn.Module):
    """Layer norm of the scalars, and one common scale for all higher degrees, each of which counts the same.

    Liao, Wood, Das, Smidt, ICLR 2024, section 4 and appendix; the published code calls it "layer_norm_sh".
    """

    degree: Tensor
    balance: Tensor

    def __init__(self, n_channels: int, lmax: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.scalars = nn.LayerNorm(n_channels, eps=eps)
        self.weight = nn.Parameter(torch.ones(lmax, n_channels))
        degree = degree_of_coefficients(lmax)[1:]
        self.register_buffer("degree", degree - 1, persistent=False)
        balance = 1.0 / (lmax * (2.0 * degree.to(torch.float64) + 1.0))
        self.register_buffer("balance", balance[:, None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return normalised features, (n_atoms, (lmax + 1)**2, n_channels)."""
        higher = features[:, 1:]
        square = (higher.square() * self.balance).sum(dim=1, keepdim=True).mean(dim=2, keepdim=True)
        scaled = higher * (square + self.eps).rsqrt() * self.weight.index_select(0, self.degree)
        return torch.cat([self.scalars(features[:, :1]), scaled], dim=1)


def feature_norm(n_channels: int, lmax: int) -> nn.Module:
    """Return the separable layer norm, which for scalars alone is a plain one."""
    return SeparableLayerNorm(n_channels, lmax) if lmax else nn.LayerNorm(n_channels)


class RadialFunction(nn.Module):
    """Linear layers with layer norm and SiLU between them, on the invariants of an edge."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layer = nn.Linear(n_in, n_out)
            nn.init.uniform_(layer.weight, -1.0 / math.sqrt(n_in), 1.0 / math.sqrt(n_in))
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.LayerNorm(n_out), nn.SiLU()]
        self.layers = nn.Sequential(*layers[:-2])

    def forward(self, invariants: Tensor) -> Tensor:
        """Return (n_edges, widths[-1]) from (n_edges, widths[0])."""
        out: Tensor = self.layers(invariants)
        return out


class EdgeInvariants(nn.Module):
    """Radial basis and learned vectors of both elements, as each block sees an edge."""

    def __init__(self, n_elements: int, n_channels: int) -> None:
        super().__init__()
        self.neighbour = nn.Parameter(torch.empty(n_elements, n_channels).uniform_(-1e-3, 1e-3))
        self.centre = nn.Parameter(torch.empty(n_elements, n_channels).uniform_(-1e-3, 1e-3))

    def forward(self, basis: Tensor, neighbour: Tensor, centre: Tensor) -> Tensor:
        """Return (n_edges, n_basis + 2 n_channels) from the basis and the element indices of both atoms."""
        return torch.cat([basis, self.neighbour.index_select(0, neighbour), self.centre.index_select(0, centre)], dim=1)
