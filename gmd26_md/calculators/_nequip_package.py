"""A package of `nequip-package build`: the model's settings, read off its modules, and its own numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import nn

from gmd26_md.calculators._nequip_import import nequip_imports
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.calculators.nequip_files import Found
from gmd26_md.calculators.vendors.agreement import answer_of, difference, test_batch, tolerance_of
from gmd26_md.calculators.vendors.unpickle import run_file
from gmd26_md.errors import UserError

_FIRST = ["type_embed", "spharm", "edge_norm", "bessel_encode", "factor"]
_LAST = ["per_atom_energy_readout", "per_type_energy_scale_shift", "total_energy_sum"]


def packaged(path: Path, content: bytes) -> tuple[Found, Callable[[Checkpoint], None]]:
    """Return the model in a package, and a function that raises unless a checkpoint says what the package says.

    This runs code from the file.

    Raises
    ------
    UserError
        If it cannot be loaded here, or is no NequIP as our family builds it.
    """
    with nequip_imports():
        from nequip.model import ModelFromPackage

    def load(_: io.BytesIO) -> Any:
        with TemporaryDirectory() as folder:  # nequip takes a name: of what was read, not of what may lie there now
            copy = Path(folder) / path.name
            copy.write_bytes(content)
            return ModelFromPackage(str(copy))

    several = run_file(load, content, path, "a package of nequip").eval()
    try:
        [model] = several.values()  # more than one: a ValueError, told below
        names = list(model.type_names)
        found = Found(_settings(model.model.func, path), names, model.model.func.state_dict())
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is a package of a nequip that is not known here ({error}); see docs/families/nequip.md."
        ) from error

    def agrees(checkpoint: Checkpoint) -> None:
        batch = test_batch(checkpoint.elements, checkpoint.cutoff)
        stored = next(model.parameters()).dtype
        got = answer_of(checkpoint.potential(), batch)
        wrong = difference(got, _own_answer(model, names, batch), batch, tolerance_of(stored))
        if wrong:
            raise UserError(f"{path} says something else here than by nequip ({wrong}); see docs/families/nequip.md.")

    return found, agrees


def _own_answer(model: nn.Module, names: list[str], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the package's own energies, (n_systems,), eV, and forces, (n_atoms, 3), eV/Å."""
    types = torch.full((120,), -1, dtype=torch.int64)
    types[[atomic_numbers[name] for name in names]] = torch.arange(len(names))
    data = {
        "pos": batch.positions.clone(),
        "atom_types": types[batch.numbers],
        "edge_index": batch.pairs,
        "batch": batch.system_idx,
        "num_atoms": torch.bincount(batch.system_idx, minlength=batch.n_systems),
    }
    out = model(data)
    return out["total_energy"].detach().double().view(-1), out["forces"].detach().double()


def _settings(sequence: Any, path: Path) -> dict[str, Any]:
    """Return our hyperparameters, read off nequip's modules."""
    names = list(sequence._modules)
    n_layers = len(names) - len(_FIRST) - len(_LAST)
    if n_layers < 1 or names != [*_FIRST, *(f"layer{i}_convnet" for i in range(n_layers)), *_LAST]:
        raise UserError(f"{path} is a package of another architecture than NequIP's, with modules {', '.join(names)}.")
    if sequence.edge_norm._per_edge_type:
        raise UserError(
            f"{path} is a package of a model with cutoffs by pair of elements, which family nequip has not."
        )
    layers = [sequence[len(_FIRST) + i] for i in range(n_layers)]
    radial = {tuple(layer.conv.edge_mlp.dims[1:-1]) for layer in layers}
    [widths] = radial  # more than one: a ValueError, told by the caller
    l_max = int(sequence.spharm.irreps_edge_sh.lmax)
    counts = {(term.ir.l, term.ir.p): int(term.mul) for term in layers[0].feature_irreps_hidden}
    readout = sequence.per_atom_energy_readout.mlp_module
    hidden = readout.dims[1:-1]
    norm = layers[0].conv.avg_num_neighbors_norm.norm_const.double().view(-1)
    n_neighbours = (1.0 / norm.square()).tolist()
    embedded = int(sequence.type_embed.embed_module.weight.shape[1])
    return {
        "cutoff": float(sequence.edge_norm.r_max),
        "num_layers": n_layers,
        "l_max": l_max,
        "parity": any((degree, -((-1) ** degree)) in counts for degree in range(l_max + 1)),
        # a single layer keeps scalars only: what the other degrees would have had is not to be told, nor used
        "num_features": [counts.get((degree, (-1) ** degree), counts[0, 1]) for degree in range(l_max + 1)],
        "type_embed_num_features": embedded,
        "radial_mlp_depth": len(widths),
        "radial_mlp_width": int(widths[0]),
        "num_bessels": int(sequence.bessel_encode.num_bessels),
        "bessel_trainable": bool(sequence.bessel_encode.trainable),
        "polynomial_cutoff_p": int(sequence.bessel_encode.cutoff.p),
        "avg_num_neighbors": n_neighbours[0] if len(n_neighbours) == 1 else n_neighbours,
        "readout_mlp_hidden_layers_depth": len(hidden),
        "readout_mlp_hidden_layers_width": int(hidden[0]) if hidden else 0,
        "readout_mlp_nonlinearity": type(readout.mlp[1]).__name__.lower() if hidden else "silu",
        "per_type_energy_scales": 1.0,
    }
