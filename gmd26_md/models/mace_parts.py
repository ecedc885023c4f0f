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

from gmd26_md.models.neighbours import Neighbours, fold_atoms, fold_pairs


def linear(module: Any, blocks: Sequence[Tensor]) -> list[Tensor]:
    """Return the blocks that e3nn's `Linear` makes of these."""
    sums: dict[int, Tensor] = {}
    for instruction, matrix in _matrices(module):
        part = blocks[instruction.i_in] @ matrix
        sums[instruction.i_out] = sums[instruction.i_out] + part if instruction.i_out in sums else part
    return [sums[i_out] for i_out in sorted(sums)]


def joint_matrices(module: Any, factors: Sequence[float]) -> list[tuple[list[int], Tensor]]:
    """Return for each output block of e3nn's `Linear` its input blocks, and one matrix for these side by side.

    `factors` are taken into the matrix, one for each input block.
    """
    parts: dict[int, list[tuple[int, Tensor]]] = {}
    for instruction, matrix in _matrices(module, factors):
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
        Components of the features and of the message. Where a feature is a scalar, n_in = 1, the message has the
        components of the harmonics, up to a factor.
    """

    block: int
    degree: int
    n_in: int
    n_out: int


class Convolution(nn.Module):
    """Messages: sums over neighbours of weight x features x harmonics, coupled path by path.

    Parameters
    ----------
    conv_tp
        e3nn's `TensorProduct`, "uvu" with a weight for every path and channel, each path with its own output.

    Attributes
    ----------
    paths
        In order of their outputs.
    factors
        What the message of each path is still to be multiplied by.
    """

    def __init__(self, conv_tp: Any) -> None:
        super().__init__()
        self.paths: list[Path] = []
        self.factors: list[float] = []
        for i, instruction in enumerate(conv_tp.instructions):
            coupling = _coupling(conv_tp, instruction)  # (n_in, 2 degree + 1, n_out)
            n_in, _, n_out = coupling.shape
            self.paths.append(Path(instruction.i_in1, conv_tp.irreps_in2[instruction.i_in2].ir.l, n_in, n_out))
            self.factors.append(float(coupling[0, 0, 0]) if n_in == 1 else 1.0)
            self.register_buffer(f"coupling_{i}", coupling.transpose(0, 1).flatten(1), persistent=False)

    def forward(
        self, blocks: Sequence[Tensor], radial: Tensor, harmonics: Sequence[Tensor], table: Neighbours
    ) -> tuple[Tensor, ...]:
        """Return the message of each path, (n_atoms, n_out, n_channels), but for its factor.

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
        sides = []  # what the harmonics make of a neighbour's components, (n_atoms, width * n_in, n_out)
        for i, path in enumerate(self.paths):
            side = harmonics[path.degree]
            side = side if path.n_in == 1 else side @ self.get_buffer(f"coupling_{i}")
            sides.append(side.reshape(table.n_atoms, table.width * path.n_in, path.n_out))
        rows = [block.transpose(0, 1).flatten(1) for block in blocks]  # (n_atoms, n_in * n_channels)
        messages: tuple[Tensor, ...] = _Messages.apply(self.paths, table, radial, *rows, *sides)
        return messages


class _Messages(torch.autograd.Function):
    """Messages of all paths, a path at a time, forth and back: arrays of all pairs and channels are not kept.

    On a processor the time of such a sum is that of fetching memory; to compute a product again costs less.
    """

    @staticmethod
    def forward(
        ctx: Any, paths: list[Path], table: Neighbours, radial: Tensor, *rows_and_sides: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.paths, ctx.table = paths, table
        ctx.save_for_backward(radial, *rows_and_sides)
        return _messages(paths, table, radial, rows_and_sides)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        inputs, wanted = ctx.saved_tensors, ctx.needs_input_grad[2:]
        if not torch.is_grad_enabled():
            return None, None, *_slopes(ctx.paths, ctx.table, inputs, slopes, wanted)
        outputs = _messages(ctx.paths, ctx.table, inputs[0], inputs[1:])  # to be differentiated once more
        asked = [tensor for tensor, one in zip(inputs, wanted, strict=True) if one]
        found = iter(torch.autograd.grad(outputs, asked, slopes, create_graph=True))
        return None, None, *(next(found) if one else None for one in wanted)


def _messages(
    paths: Sequence[Path], table: Neighbours, radial: Tensor, rows_and_sides: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Return the messages, differentiable as often as one likes."""
    sides = rows_and_sides[-len(paths) :]
    there = [rows.index_select(0, table.atom) for rows in rows_and_sides[: -len(paths)]]
    messages = []
    for i, (path, side) in enumerate(zip(paths, sides, strict=True)):
        features = _weighted(there[path.block], _part(radial, table, i, len(paths)), path.n_in)
        messages.append(torch.bmm(side.mT, features.view(*side.shape[:2], -1)))
    return tuple(messages)


def _slopes(
    paths: Sequence[Path], table: Neighbours, inputs: Sequence[Tensor], slopes: Sequence[Tensor], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of `_messages` by radial, rows and sides, without a graph."""
    radial, rows, sides = inputs[0], inputs[1 : -len(paths)], inputs[-len(paths) :]
    there = [values.index_select(0, table.atom) for values in rows]
    by_rows: list[Tensor | None] = [None] * len(rows)
    by_radial = radial.new_empty(radial.shape[0], len(paths), radial.shape[1] // len(paths))
    by_radial[-1] = 0.0
    by_sides = []
    for i, (path, side, slope) in enumerate(zip(paths, sides, slopes, strict=True)):
        features, weights = there[path.block], _part(radial, table, i, len(paths))
        by_product = torch.bmm(side, slope).view(features.shape)  # (n_places, n_in * n_channels)
        product = _weighted(features, weights, path.n_in)
        by_sides.append(torch.bmm(product.view(*side.shape[:2], -1), slope.mT))
        if wanted[1 + path.block]:
            part, total = _weighted(by_product, weights, path.n_in), by_rows[path.block]
            by_rows[path.block] = part if total is None else total.add_(part)
        by_weights = by_product.mul_(features)
        if path.n_in > 1:
            by_weights = by_weights.unflatten(1, (path.n_in, -1)).sum(1)
        by_radial[:-1, i] = fold_pairs(by_weights, table)
    folded = [None if total is None else fold_atoms(total, table) for total in by_rows]
    return [by_radial.flatten(1), *folded, *by_sides]


def _part(radial: Tensor, table: Neighbours, part: int, n_parts: int) -> Tensor:
    """Return one path's weights in each place, (n_places, n_channels)."""
    rows = radial.reshape(radial.shape[0] * n_parts, -1)
    return rows.index_select(0, table.pair * n_parts + part)


def _weighted(features: Tensor, weights: Tensor, n_in: int) -> Tensor:
    """Return each place's features, (n_places, n_in * n_channels), times its weights, (n_places, n_channels)."""
    if n_in == 1:
        return features * weights
    return (features.unflatten(1, (n_in, -1)) * weights[:, None]).flatten(1)


def _matrices(module: Any, factors: Sequence[float] | None = None) -> list[tuple[Any, Tensor]]:
    """Return instruction and matrix, (n_in, n_out), of each part of e3nn's `Linear`, times a factor an input block."""
    found = []
    for _, instruction, weight in module.weight_views(yield_instruction=True):
        factor = instruction.path_weight * (1.0 if factors is None else factors[instruction.i_in])
        found.append((instruction, weight * factor))
    return found


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
