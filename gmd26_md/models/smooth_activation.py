"""SiLU whose first and second derivatives are computed whole, for losses on forces.

torch composes the second derivative of its own from some fifteen products, which were a quarter of a training step of
DimeNet++. Values and derivatives are the same to rounding; there is no third derivative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def twice_differentiable_silu(x: Tensor) -> Tensor:
    """Return x sigmoid(x), differentiable twice."""
    value: Tensor = _Silu.apply(x) if x.requires_grad else torch.nn.functional.silu(x)
    return value


class _Silu(torch.autograd.Function):
    """x s with s = sigmoid(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.nn.functional.silu(x)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        gradient: Tensor = _SiluGradient.apply(x, slope)
        return gradient


class _SiluGradient(torch.autograd.Function):
    """Slope times s + x s (1 - s)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return torch.ops.aten.silu_backward(slope, x)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        s = torch.sigmoid(x)
        # (1 - s) s (2 + x (1 - 2 s)), in place
        curvature = torch.addcmul(torch.add(x, 2.0), x, s, value=-2.0).mul_(torch.addcmul(s, s, s, value=-1.0))
        return curvature.mul_(slope).mul_(outer), torch.ops.aten.silu_backward(outer, x)
