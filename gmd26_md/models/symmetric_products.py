"""Symmetric contractions of MACE as sums over the distinct products of components.

Batatia et al., NeurIPS 2022, equations 10 and 11: a feature of an atom is a sum over all products of up to nu
components of its message, with coupling coefficients that are mostly zero and do not care about the order of the
factors. Each distinct product is formed once, for all atoms and channels, and mixed by one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Product = tuple[int, ...]  # numbers of its factors, ascending


class SymmetricProducts(nn.Module):
    """The coupling coefficients of one product block, learned weights apart.

    Parameters
    ----------
    couplings
        For each output irrep and each degree 1, 2, ... the coefficients, (n_values, n_components, ..., n_paths), with
        an axis of n_components for each factor; n_values is 2 l + 1.
    """

    def __init__(self, couplings: Sequence[Sequence[Tensor]]) -> None:
        super().__init__()
        self.degrees = len(couplings[0])
        self.n_values = [by_degree[0].shape[0] for by_degree in couplings]
        sums = [[_sums_over_orders(coupling) for coupling in by_degree] for by_degree in couplings]
        products = _products([set().union(*(found[d] for found in sums)) for d in range(self.degrees)])
        for d, kept in enumerate(products):
            last, parent = [p[-1] for p in kept], [products[d - 1].index(p[:-1]) if d else 0 for p in kept]
            self.register_buffer(f"last_{d}", torch.tensor(last, dtype=torch.int64), persistent=False)
            self.register_buffer(f"parent_{d}", torch.tensor(parent, dtype=torch.int64), persistent=False)
            for i, found in enumerate(sums):
                n_paths = couplings[i][d].shape[-1]
                matrix = couplings[i][d].new_zeros(n_paths, self.n_values[i], len(kept))
                for column, product in enumerate(kept):
                    if product in found[d]:
                        matrix[:, :, column] = found[d][product].T
                self.register_buffer(f"mix_{d}_{i}", matrix, persistent=False)

    def forward(self, components: Tensor, weights: Sequence[Sequence[Tensor]], species: Tensor) -> list[Tensor]:
        """Return the contracted features, for each output irrep (n_values, n_atoms, n_channels).

        Parameters
        ----------
        components
            All components of the atoms' messages, (n_components, n_atoms, n_channels).
        weights
            For each output irrep and each degree, (n_elements, n_paths, n_channels).
        species
            Element index of each atom, (n_atoms,).
        """
        size = components.shape[1:]
        flat = components.flatten(1)  # (n_components, n_atoms * n_channels)
        sums: list[list[Tensor]] = [[] for _ in self.n_values]
        product = flat
        for d in range(self.degrees):
            product = self._next(d, product, flat)
            for i, n_values in enumerate(self.n_values):
                mixed = self.get_buffer(f"mix_{d}_{i}").flatten(0, 1) @ product
                weight = weights[i][d].transpose(0, 1).index_select(1, species)  # (n_paths, n_atoms, n_channels)
                sums[i].append((mixed.view(-1, n_values, *size) * weight[:, None]).sum(0))
        return [torch.stack(by_degree).sum(0) for by_degree in sums]

    def _next(self, d: int, before: Tensor, components: Tensor) -> Tensor:
        """Return the products of degree d + 1 from those of degree d, (n_products, n_atoms * n_channels)."""
        factor = components.index_select(0, self.get_buffer(f"last_{d}"))
        return before.index_select(0, self.get_buffer(f"parent_{d}")) * factor if d else factor


def _sums_over_orders(coupling: Tensor) -> dict[Product, Tensor]:
    """Return for each product the coefficients of all orders of its factors added, (n_values, n_paths)."""
    found: dict[Product, Tensor] = {}
    size = coupling.abs().sum(dim=(0, -1))
    for factors in size.nonzero().tolist():
        key, values = tuple(sorted(factors)), coupling[(slice(None), *factors)]
        found[key] = found[key] + values if key in found else values
    return found


def _products(wanted: Sequence[set[Product]]) -> list[list[Product]]:
    """Return the products of each degree: those wanted, and those that longer ones are made from."""
    kept = [set(products) for products in wanted]
    for d in range(len(kept) - 1, 0, -1):
        kept[d - 1] |= {product[:-1] for product in kept[d]}
    return [sorted(products) for products in kept]
