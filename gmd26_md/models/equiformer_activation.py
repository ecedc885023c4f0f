"""The separable S2 activation of EquiformerV2, and its grid.

A feature is taken as a function on the sphere, its values on a grid go through SiLU, and the result is expanded again.
"Separable" (Liao, Wood, Das, Smidt, ICLR 2024, section 4): the scalar part is instead SiLU of scalars of its own.

The grid is the one place where the architecture is not exactly equivariant: SiLU of a function has all degrees, and the
sums over the grid take some of them for lower ones. The error falls exponentially with the number of points (figures
in docs/families/equiformer-v2.md). In an edge's frame only the number of longitudes counts, as the frame turns about
the pole only.

Values on the grid are many more than coefficients. They are never kept but made again when gradients are taken,
on a CPU for a few rows at a time, which then stay in the cache. Derivatives are given to second order, as a loss on
forces needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import silu

from gmd26_md.models.equiformer_sphere import dropped_orders_scale, harmonics, kept, quadrature

CACHE_VALUES = 2**17  # values on the grid at a time, on a CPU


class SphereGrid(nn.Module):
    """From coefficients to values on a grid, and back.

    Coefficients have variance one ("component" normalisation of e3nn), and so have the values. Where orders above mmax
    are left out, both ways have the published code's scale.

    Parameters
    ----------
    lmax, mmax
        Of the coefficients, in the layout of `equiformer_sphere.kept` if mmax is given, else by degree and order.
    latitudes, longitudes
        Of the grid.
    """

    values: Tensor
    coefficients: Tensor

    def __init__(self, lmax: int, mmax: int | None, latitudes: int, longitudes: int) -> None:
        super().__init__()
        points, weights = quadrature(latitudes, longitudes)
        table = harmonics(points, lmax)
        if mmax is None:
            degrees, scale = [d for d in range(lmax + 1) for _ in range(2 * d + 1)], np.ones((lmax + 1) ** 2)
        else:
            degrees, orders = kept(lmax, mmax)
            table = table[:, [d * d + d + m for d, m in zip(degrees, orders, strict=True)]]
            scale = dropped_orders_scale(degrees, mmax)
        width = np.sqrt((2.0 * np.array(degrees) + 1.0) * (lmax + 1.0))
        self.register_buffer("values", torch.as_tensor(table * (scale / width)), persistent=False)
        back = weights[:, None] * table * (scale * width)
        self.register_buffer("coefficients", torch.as_tensor(back.T.copy()), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return SiLU of the function with these coefficients, expanded again, both (n, n_coefficients, n_channels)."""
        out: Tensor = _Activation.apply(features, self.values, self.coefficients)
        return out

    def pointwise(self, layers: nn.Module, features: Tensor) -> Tensor:
        """Return what any layers on the channels make of the function's values, expanded again."""
        out: Tensor = self.coefficients @ layers(self.values @ features)
        return out


def separable(scalars: Tensor, features: Tensor) -> Tensor:
    """Return features (n, n_coefficients, n_channels) with SiLU of other scalars, (n, n_channels), as the first."""
    return torch.cat([silu(scalars)[:, None], features[:, 1:]], dim=1)


class _Activation(torch.autograd.Function):
    """y = B silu(A x) for features x, (n, k, channels), with A (points, k) and B (k, points)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, a, b)
        y = torch.empty_like(x)
        for rows in _chunks(x, a):
            values = _on_grid(a, x[rows])
            y[rows] = _rows(b @ silu(values, inplace=True), x[rows])
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        x, a, b = ctx.saved_tensors
        return _Slope.apply(x, slope, a, b), None, None


class _Slope(torch.autograd.Function):
    """z = A^T (silu'(A x) * B^T g): the gradient of `_Activation` for the slope g of y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, g, a, b)
        z = torch.empty_like(x)
        for rows in _chunks(x, a):
            first = _first_derivative(_on_grid(a, x[rows]))
            z[rows] = _rows(a.T @ first.mul_(_on_grid(b.T, g[rows])), x[rows])
        return z

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, g, a, b = ctx.saved_tensors
        by_x, by_g = torch.empty_like(x), torch.empty_like(x)
        for rows in _chunks(x, a):
            values, pulled = _on_grid(a, x[rows]), _on_grid(a, slope[rows])
            first, second = _both_derivatives(values)
            by_g[rows] = _rows(b @ first.mul_(pulled), x[rows])
            by_x[rows] = _rows(a.T @ second.mul_(pulled).mul_(_on_grid(b.T, g[rows])), x[rows])
        return by_x, by_g, None, None


def _chunks(x: Tensor, a: Tensor) -> Iterator[slice]:
    """Yield rows of the features to be treated at a time."""
    size = max(len(x), 1) if x.device.type != "cpu" else max(CACHE_VALUES // max(len(a) * x.shape[2], 1), 1)
    for start in range(0, len(x), size):
        yield slice(start, start + size)


def _on_grid(matrix: Tensor, x: Tensor) -> Tensor:
    """Return matrix x for each row and channel, (points, n * channels)."""
    return matrix @ x.transpose(0, 1).reshape(x.shape[1], -1)


def _rows(flat: Tensor, like: Tensor) -> Tensor:
    """Return coefficients (k, n * channels) in the features' shape, (n, k, channels)."""
    return flat.view(len(flat), len(like), like.shape[2]).transpose(0, 1)


def _first_derivative(x: Tensor) -> Tensor:
    """Return silu'(x) = s (1 + x (1 - s)) with s = sigmoid(x); x is used up."""
    s = torch.sigmoid(x)
    return x.addcmul_(x, s, value=-1.0).add_(1.0).mul_(s)


def _both_derivatives(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return silu'(x) and silu''(x) = s (1 - s) (2 + x (1 - 2 s)); x is used up."""
    s = torch.sigmoid(x)
    bell = s - s * s
    second = torch.addcmul(x, x, s, value=-2.0).add_(2.0).mul_(bell)
    return x.mul_(bell).add_(s), second
