"""Dense layers of GemNet that keep the variance of what passes, and the scaling factors for where it changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmd26_md.models.smooth_activation import twice_differentiable_silu

INV_SQRT_2 = 1.0 / math.sqrt(2.0)


def activate(x: Tensor) -> Tensor:
    """Return SiLU(x) / 0.6, of about the variance of its input (Gasteiger et al., NeurIPS 2021, figure 4's sigma)."""
    return twice_differentiable_silu(x) * (1.0 / 0.6)


class Dense(nn.Module):
    """A linear map without bias, and the activation if asked for. No bias: what is zero at the cutoff stays zero."""

    def __init__(self, n_in: int, n_out: int, *, activated: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(even_orthogonal(torch.empty(n_out, n_in)))
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """Return rows (n, n_out) of rows (n, n_in)."""
        x = functional.linear(x, self.weight)
        return activate(x) if self.activated else x


class Residual(nn.Module):
    """(x + f(x)) / sqrt(2), f being two activated dense layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Dense(width, width, activated=True)
        self.second = Dense(width, width, activated=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return rows of the same shape, (n, width)."""
        return (x + self.second(self.first(x))) * INV_SQRT_2


class Scale(nn.Module):
    """A fixed factor that gives its input the variance of a reference, found on the untrained network.

    While `fitting`, a call finds the factor from what it sees: sqrt(variance of the reference / variance of the input),
    variances taken over rows and averaged over columns. (Gasteiger et al., NeurIPS 2021, "scaling factors".)
    """

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(()))
        self.fitting = False

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return rows x, (n, n_columns), times the factor; `reference`, (m, n_columns), matters for fitting only."""
        if self.fitting:
            ratio = (_variance(reference) / _variance(x)).sqrt()
            self.factor = torch.where(torch.isfinite(ratio) & (ratio > 0.0), ratio, 1.0).detach()
        return x * self.factor


def fit_scales(network: nn.Module, *inputs: object) -> None:
    """Set all `Scale` factors of a network, in the order in which they act, from one evaluation of it."""
    scales = [module for module in network.modules() if isinstance(module, Scale)]
    for scale in scales:
        scale.fitting = True
    with torch.no_grad():
        network(*inputs)
    for scale in scales:
        scale.fitting = False


def even_orthogonal(weight: Tensor) -> Tensor:
    """Fill a weight with orthogonal random numbers of mean 0 and variance 1 / (number of inputs), and return it.

    A matrix is (n_out, n_in), evened out row by row; an array of three axes has inputs along the first two.
    """
    nn.init.orthogonal_(weight)
    inputs = (0, 1) if weight.dim() == 3 else (1,)
    n_inputs = math.prod(weight.shape[axis] for axis in inputs)
    with torch.no_grad():
        if n_inputs > 1:
            variance, mean = torch.var_mean(weight, dim=inputs, keepdim=True)
            weight.sub_(mean).div_((variance + 1e-6).sqrt())
        return weight.mul_(n_inputs**-0.5)


def _variance(rows: Tensor) -> Tensor:
    """Return the variance over rows, averaged over columns."""
    return rows.var(dim=0).mean()
