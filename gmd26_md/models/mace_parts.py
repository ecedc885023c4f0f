"""What e3nn's and mace-torch's modules compute, said with blocks of one irrep each.

A block holds the components of all atoms, (2 l + 1, n_atoms, n_channels). The modules are those of the vendor, not
imported here: their weights, instructions and factors are read, their `forward` is not called while atoms move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gmd26_md.models.neighbours import Neighbours, spread_atoms, spread_pairs


def linear(module: Any, blocks: Sequence[Tensor]) -> list[Tensor]:
    """Return the blocks that e3nn's `Linear` makes of these."""
    sums: dict[int, Tensor] = {}
    for instruction, matrix in _matrices(module):
        part = blocks[instruction.i_in] @ matrix
        sums[instruction.i_out] = sums[instruction.i_out] + part if instruction.i_out in sums else part
    return [sums[i_out] for i_out in sorted(sums)]


def joint_matrices(module: Any) -> list[tuple[list[int], Tensor]]:
    """Return for each output block the input blocks it is made of, and one matrix for these side by side."""
    parts: dict[int, list[tuple[int, Tensor]]] = {}
    for instruction, matrix in _matrices(module):
        parts.setdefault(instruction.i_out, []).append((instruction.i_in, matrix))
    return [([i for i, _ in parts[out]], torch.cat([m for _, m in parts[out]])) for out in sorted(parts)]


def element_matrices(module: Any) -> list[tuple[int, Tensor]]:
    """Return for each output block of a product with the atom's element its input block, (n_elements, n_in, n_out).

    The module is e3nn's `FullyConnectedTensorProduct` of features and one number an element.
    """
    views = module.weight_views(yield_instruction=True)
    found = [(instruction, weight) for _, instruction, weight in views]
    factor = [  # e3nn's coupling of an irrep with a scalar is the unit matrix over the root of its dimension
        instruction.path_weight / module.irreps_in1[instruction.i_in1].ir.dim ** 0.5 for instruction, _ in found
    ]
    by_output = sorted(zip(found, factor, strict=True), key=lambda entry: entry[0][0].i_out)
    return [(instruction.i_in1, weight.transpose(0, 1) * f) for (instruction, weight), f in by_output]


def radial_network(module: Any, basis: Tensor) -> Tensor:
    """Return what e3nn's `FullyConnectedNet` makes of each row; its factors are given to the small matrices."""
    values, factor = basis, 1.0
    for layer in module:
        values = values @ (layer.weight * (factor / (layer.h_in * layer.var_in) ** 0.5))
        factor = layer.var_out**0.5
        if layer.act is not None:
            values, factor = silu(values), factor * layer.act.cst
    return values if factor == 1.0 else values * factor


def readout(module: Any, blocks: Sequence[Tensor]) -> Tensor:
    """Return the energies that one of mace-torch's readouts gives, (n_atoms,)."""
    if not hasattr(module, "linear_1"):
        return linear(module.linear, blocks)[0][0, :, 0]
    (hidden,) = linear(module.linear_1, blocks)
    return linear(module.linear_2, [module.non_linearity.acts[0](hidden)])[0][0, :, 0]


def couplings(product: Any) -> list[list[Tensor]]:
    """Return the coefficients of a product block for `SymmetricProducts`."""
    found = []
    for contraction in product.symmetric_contractions.contractions:
        by_degree = [contraction.U_tensors(d + 1) for d in range(contraction.correlation)]
        found.append(
            [u if u.dim() == d + 3 else u[None] for d, u in enumerate(by_degree)]
        )  # scalars have no first axis
    return found


def product_weights(product: Any) -> list[list[Tensor]]:
    """Return the weights of a product block for `SymmetricProducts`."""
    contractions = product.symmetric_contractions.contractions
    return [[*reversed(list(c.weights)), c.weights_max] for c in contractions]


@dataclass(frozen=True)
class Path:
    """One way from a neighbour's features and the direction to it into a message.

    Attributes
    ----------
    block, degree
        Which block of the features, and which degree of the harmonics.
    n_in, n_out
        Components of the features and of the message.
    plain
        Whether the message has the components of the harmonics (up to a factor), as the features are a scalar.
    """

    block: int
    degree: int
    n_in: int
    n_out: int
    plain: bool


class Convolution(nn.Module):
    """Messages: sums over neighbours of weight x features x harmonics, coupled path by path.

    Parameters
    ----------
    conv_tp
        e3nn's `TensorProduct`, "uvu" with a weight for every path and channel, each path with its own output.
    """

    def __init__(self, conv_tp: Any) -> None:
        super().__init__()
        self.paths: list[Path] = []
        for i, instruction in enumerate(conv_tp.instructions):
            coupling = _coupling(conv_tp, instruction)  # (n_in, 2 degree + 1, n_out)
            n_in, _, n_out = coupling.shape
            degree = conv_tp.irreps_in2[instruction.i_in2].ir.l
            self.paths.append(Path(instruction.i_in1, degree, n_in, n_out, n_in == 1))
            self.register_buffer(f"coupling_{i}", coupling.transpose(0, 1).flatten(1), persistent=False)

    def forward(
        self, blocks: Sequence[Tensor], radial: Tensor, harmonics: Sequence[Tensor], table: Neighbours
    ) -> list[Tensor]:
        """Return the message of each path, (n_atoms, n_out, n_channels).

        Parameters
        ----------
        blocks
            Features.
        radial
            Weights of each undirected pair, (n_undirected + 1, n_paths * n_channels), the last row zero.
        harmonics
            For each degree the harmonics in every place, (n_atoms * width, 2 degree + 1).
        table
            Who is whose neighbour.
        """
        weights = spread_pairs(radial, table, len(self.paths))
        there = [
            spread_atoms(block.transpose(0, 1).flatten(1), table).unflatten(1, (len(block), -1)) for block in blocks
        ]
        messages = []
        for i, path in enumerate(self.paths):
            features = there[path.block] * weights[i][:, None]  # (n_atoms * width, n_in, n_channels)
            coupling = self.get_buffer(f"coupling_{i}")
            sides = harmonics[path.degree] * coupling[0, 0] if path.plain else harmonics[path.degree] @ coupling
            size = (table.n_atoms, table.width * path.n_in)
            messages.append(torch.bmm(sides.view(*size, path.n_out).mT, features.view(*size, features.shape[2])))
        return messages


def _matrices(module: Any) -> list[tuple[Any, Tensor]]:
    """Return instruction and matrix, (n_in, n_out), of each part of e3nn's `Linear`."""
    views = module.weight_views(yield_instruction=True)
    return [(instruction, weight * instruction.path_weight) for _, instruction, weight in views]


def _coupling(conv_tp: Any, instruction: Any) -> Tensor:
    """Return what a path makes of every two unit components, (n_in, n_harmonics, n_out): asked of the module itself."""
    first, second = conv_tp.irreps_in1.slices()[instruction.i_in1], conv_tp.irreps_in2.slices()[instruction.i_in2]
    n_in, n_harmonics = conv_tp.irreps_in1[instruction.i_in1].ir.dim, second.stop - second.start
    features = torch.zeros(n_in, conv_tp.irreps_in1.dim, dtype=torch.float64)
    features[:, first.start : first.start + n_in] = torch.eye(n_in, dtype=torch.float64)  # of the first channel
    harmonics = torch.zeros(n_harmonics, conv_tp.irreps_in2.dim, dtype=torch.float64)
    harmonics[:, second] = torch.eye(n_harmonics, dtype=torch.float64)
    weights = torch.ones(n_in * n_harmonics, conv_tp.weight_numel, dtype=torch.float64)
    with torch.no_grad():
        out = conv_tp(features.repeat_interleave(n_harmonics, 0), harmonics.repeat(n_in, 1), weights)
    start = conv_tp.irreps_out.slices()[instruction.i_out].start
    n_out = conv_tp.irreps_out[instruction.i_out].ir.dim
    coupling: Tensor = out[:, start : start + n_out].unflatten(0, (n_in, n_harmonics))
    return coupling
