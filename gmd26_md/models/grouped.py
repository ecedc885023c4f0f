"""Matrix products of consecutive groups of rows with one matrix a group, differentiable as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def grouped_matmul(rows: Tensor, matrices: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return each row times the matrix of its group, (n_rows, n_out).

    Parameters
    ----------
    rows
        (n_rows, n_in), the rows of a group next to each other.
    matrices
        One a group, (n_groups, n_in, n_out).
    sizes
        Number of rows of each group, in order; their sum is n_rows. Groups may be empty.

    Notes
    -----
    The same can be said by split, matmul and cat; differentiating those twice fills and adds arrays of all rows once
    a group, which took half of a training step.
    """
    product: Tensor = _GroupedMatmul.apply(rows, matrices, tuple(sizes))
    return product


class _GroupedMatmul(torch.autograd.Function):
    """Rows times the matrix of their group."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, matrices: Tensor, sizes: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(rows, matrices)
        ctx.sizes = sizes
        product = rows.new_empty(rows.shape[0], matrices.shape[2])
        for part, matrix, out in zip(rows.split(sizes), matrices.unbind(), product.split(sizes), strict=True):
            if len(part):
                torch.mm(part, matrix, out=out)
        return product

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        rows, matrices = ctx.saved_tensors
        by_rows = grouped_matmul(slope, matrices.transpose(1, 2), ctx.sizes) if ctx.needs_input_grad[0] else None
        by_matrices = _GroupedOuter.apply(rows, slope, ctx.sizes) if ctx.needs_input_grad[1] else None
        return by_rows, by_matrices, None


class _GroupedOuter(torch.autograd.Function):
    """Sum over each group of the outer products of two kinds of rows, (n_groups, n_left, n_right)."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, sizes: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.sizes = sizes
        outer = left.new_zeros(len(sizes), left.shape[1], right.shape[1])
        for one, other, out in zip(left.split(sizes), right.split(sizes), outer.unbind(), strict=True):
            if len(one):
                torch.mm(one.T, other, out=out)
        return outer

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        left, right = ctx.saved_tensors
        by_left = grouped_matmul(right, slope.transpose(1, 2), ctx.sizes) if ctx.needs_input_grad[0] else None
        by_right = grouped_matmul(left, slope, ctx.sizes) if ctx.needs_input_grad[1] else None
        return by_left, by_right, None
