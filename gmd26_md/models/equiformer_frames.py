"""Edge frames: rotations of features into a frame whose pole is the edge, differentiable in every direction.

Passaro, Zitnick, "Reducing SO(3) convolutions to SO(2) for efficient equivariant GNNs", ICML 2023: in a frame whose
pole is the edge, an equivariant convolution mixes coefficients of equal order only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gmd26_md.models.equiformer_sphere import couplings, dropped_orders_scale, kept


class EdgeFrames(nn.Module):
    """Matrices that turn the coefficients of a feature, all degrees to lmax, into an edge's frame.

    A frame is fixed by its edge up to a turn about it, and any choice of that must jump somewhere on the sphere. It
    follows here from the shortest way to the nearer pole, which is smooth on each half of the sphere and jumps, by such
    a turn, on the circle between. What is computed in a frame must not feel a turn (up to the error of the grid in the
    activation, `equiformer_activation`), but the gradient through the rotation is complete: nothing is detached. The
    circle is tilted out of the way of molecules that lie along an axis or in a plane of two.

    Parameters
    ----------
    lmax, mmax
        Highest degree, at least 1, and highest order that is kept in the frame.
    """

    tilt: Tensor
    permutation: Tensor
    scale: Tensor

    def __init__(self, lmax: int, mmax: int) -> None:
        super().__init__()
        self.lmax, self.mmax = lmax, mmax
        self.register_buffer("tilt", _tilt(), persistent=False)
        for degree, matrix in enumerate(couplings(lmax), start=2):
            self.register_buffer(f"coupling_{degree}", torch.as_tensor(matrix), persistent=False)
        degrees, orders = kept(lmax, mmax)
        by_degree = sorted(range(len(degrees)), key=lambda i: (degrees[i], orders[i]))
        place = {row: position for position, row in enumerate(by_degree)}
        permutation = torch.tensor([place[row] for row in range(len(degrees))])
        self.register_buffer("permutation", permutation, persistent=False)
        scale = torch.as_tensor(dropped_orders_scale(degrees, mmax))
        self.register_buffer("scale", scale[:, None], persistent=False)

    def forward(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Return the matrices into the frames and back of unit vectors, (n_edges, 3).

        Returns
        -------
        into
            (n_edges, n_kept, (lmax + 1)**2), rows as in `equiformer_sphere.kept`.
        back
            (n_edges, (lmax + 1)**2, n_kept): the transpose, scaled for the orders that are left out.
        """
        turn = rotations_to_pole(direction @ self.tilt.T) @ self.tilt
        matrix, blocks = turn, [turn.new_ones(len(turn), 1, 1), turn]
        for degree in range(2, self.lmax + 1):
            coupling = self.get_buffer(f"coupling_{degree}")
            product = torch.einsum("eab,eij->eaibj", matrix, turn)
            matrix = coupling @ product.reshape(len(turn), coupling.shape[1], coupling.shape[1]) @ coupling.T
            blocks.append(matrix)
        n_columns, rows = (self.lmax + 1) ** 2, []
        for degree, block in enumerate(blocks):
            m = min(degree, self.mmax)
            middle = block[:, degree - m : degree + m + 1]
            rows.append(nn.functional.pad(middle, (degree**2, n_columns - (degree + 1) ** 2)))
        into = torch.cat(rows, dim=1).index_select(1, self.permutation)
        return into, (into * self.scale).transpose(1, 2)


def rotations_to_pole(direction: Tensor) -> Tensor:
    """Return rotations R with R n = (0, 1, 0) for unit vectors n, (n_edges, 3, 3).

    For y >= 0 the shortest one. Else the half turn about the x axis comes first, which makes y positive.
    """
    sign = torch.where(direction[:, 1] < 0.0, -1.0, 1.0).to(direction.dtype)
    x, y, z = direction[:, 0], sign * direction[:, 1], sign * direction[:, 2]
    a, b = x / (1.0 + y), z / (1.0 + y)
    rows = torch.stack([1.0 - a * x, -x, -a * z, x, y, z, -b * x, -z, 1.0 - b * z], dim=1)
    columns = torch.stack([torch.ones_like(sign), sign, sign], dim=1)
    return rows.view(-1, 3, 3) * columns[:, None, :]


def _tilt() -> Tensor:
    """Return the rotation by one radian about (1, 2, 3), (3, 3), float64: any that favours no axis would do."""
    x, y, z = (torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) / math.sqrt(14.0)).tolist()
    generator = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(generator)
