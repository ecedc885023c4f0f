"""A whole model pickled by mace-torch (`mace_run_train` writes NAME.model), as a checkpoint of ours or as it is.

A checkpoint has one head. Its scale is the potential's `energy_scale`; its shift and its energies of isolated atoms are
the potential's energies of elements, which keep their digits in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.calculators._mace_import import built_in_float64, mace_imports
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.calculators.mace import element_index, vendor_graph
from gmd26_md.calculators.side_effects import contained
from gmd26_md.calculators.vendors.agreement import Answer, check_finite, complaint, test_batch, tolerance_of
from gmd26_md.calculators.vendors.arguments import checked_arguments
from gmd26_md.calculators.vendors.model import VendorModel, Whole
from gmd26_md.calculators.vendors.unpickle import unpickled
from gmd26_md.errors import UserError, unknown_name

_CLASSES = ("mace.modules.models.MACE", "mace.modules.models.ScaleShiftMACE")


def open_mace(content: bytes, path: Path, words: str, sha256: str, arguments: Mapping[str, Any]) -> VendorModel:
    """Open a model that the user trusts. This runs code from the file.

    Parameters
    ----------
    arguments
        `head` of a model that has several.

    Raises
    ------
    UserError
        If it cannot be loaded here, is no potential of molecules' positions alone, or has heads and none was named.
    """
    checked_arguments(arguments, ("head",), path)
    vendor = _loaded(content, path, words)
    stored = next(vendor.parameters()).dtype
    head = head_index(getattr(vendor, "heads", None) or ["Default"], arguments.get("head"), path)
    elements = tuple(int(z) for z in vendor.atomic_numbers)
    whole = Whole(
        network=lambda: WholeMACE(_loaded(content, path, words).double(), elements, head),
        cutoff=_rounded(vendor.r_max),
        element_energies=element_energies(vendor, elements, head),
    )
    batch = test_batch(elements, whole.cutoff)
    wanted = vendor_answer(vendor.double(), elements, head, batch)
    check_finite(wanted, path, words)
    checkpoint, why = _as_checkpoint(vendor, elements, head, path)
    if checkpoint is not None:
        why = complaint(checkpoint.potential, wanted, batch, tolerance_of(stored))
    wrong = complaint(whole.potential, wanted, batch, 1e-9) if why else ""
    if wrong:
        raise UserError(f"{path} is {words} whose wrapping differs ({wrong}); give mace's ASE calculator, see docs.")
    return VendorModel(
        family="mace", kind=words, elements=elements, sha256=sha256, path=path, whole=whole,
        checkpoint=None if why else checkpoint, why_whole=why,
    )  # fmt: skip


def _loaded(content: bytes, path: Path, words: str) -> Any:
    """Return the vendor's module, not learning, on the CPU; its class is one that is known here."""
    with mace_imports():
        import mace.modules.models  # noqa: F401 - before the pickle asks for it, and without a trace

        vendor = unpickled(content, path, words)
    kind = f"{type(vendor).__module__}.{type(vendor).__qualname__}"
    if kind not in _CLASSES:
        raise UserError(
            f"{path} holds {kind}, which is not known here (known: MACE, ScaleShiftMACE); "
            "give its package's ASE calculator as --model FILE.py:FUNCTION."
        )
    if hasattr(vendor, "joint_embedding"):
        raise UserError(
            f"{path} depends on {', '.join(vendor.embedding_specs)} beside positions, which is not known here; "
            "give mace's ASE calculator as --model FILE.py:FUNCTION."
        )
    vendor.lammps_mliap = False
    return vendor.cpu().eval().requires_grad_(False)


def head_index(heads: list[str], asked: Any, path: Path) -> int:
    """Return which head is asked for; the only one, or the one called default, where none is.

    Raises
    ------
    UserError
        If there is none of that name, or several and none was named.
    """
    if asked is not None:
        if asked not in heads:
            raise unknown_name(f"head of {path.name}", str(asked), [str(h) for h in heads])
        return heads.index(asked)
    default = [i for i, name in enumerate(heads) if len(heads) == 1 or str(name).lower() == "default"]
    if not default:
        raise UserError(f"{path} has the heads {', '.join(heads)}; name one with --model-arg head={heads[-1]}.")
    return default[0]


def element_energies(vendor: Any, elements: tuple[int, ...], head: int) -> dict[int, float]:
    """Return the energy of each element alone, eV, as the model stores it."""
    table = torch.atleast_2d(vendor.atomic_energies_fn.atomic_energies)[head]
    return {z: float(energy) for z, energy in zip(elements, table, strict=True)}


def vendor_answer(vendor: Any, elements: tuple[int, ...], head: int, batch: Batch) -> Answer:
    """Return what the vendor's own forward says, energies and forces, in the precision of the batch."""
    species = element_index(elements).index_select(0, batch.numbers)
    alone = Batch(batch.numbers, batch.positions.clone(), batch.system_idx, batch.n_systems, batch.pairs)
    with torch.enable_grad():
        found = vendor(vendor_graph(alone, species, len(elements), head), compute_force=True)
    return found["energy"].detach().double(), found["forces"].detach().double()


class WholeMACE(nn.Module):
    """The vendor's module behind a `Batch`, less its energies of isolated atoms."""

    element_index: Tensor

    def __init__(self, vendor: Any, elements: tuple[int, ...], head: int) -> None:
        super().__init__()
        vendor.atomic_energies_fn.atomic_energies.zero_()
        self.vendor, self.elements, self.head = vendor, elements, head
        self.register_buffer("element_index", element_index(elements), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), eV."""
        species = self.element_index.index_select(0, batch.numbers)
        graph = vendor_graph(batch, species, len(self.elements), self.head)
        energy: Tensor = self.vendor(graph, compute_force=False)["node_energy"]
        return energy.to(batch.positions.dtype)


def _as_checkpoint(vendor: Any, elements: tuple[int, ...], head: int, path: Path) -> tuple[Checkpoint | None, str]:
    """Return the model as a checkpoint, not yet compared; or None and why it cannot be one."""
    ordered = tuple(sorted(elements))
    if ordered != elements:
        return None, "its elements are not in ascending order"
    alone, why = (vendor, "") if len(getattr(vendor, "heads", [0])) == 1 else _one_head(vendor, head)
    if why:
        return None, why
    scale, shift = _scale_shift(vendor, head)
    if not scale > 0:
        return None, f"its scale is {scale}"
    try:
        hyperparameters = _hyperparameters(alone)
    except (AttributeError, ValueError, TypeError) as error:
        return None, f"its architecture is not one of the family mace ({error})"
    weights = {f"vendor.{name}": weight.detach() for name, weight in alone.named_parameters()}
    energies = {z: energy + shift for z, energy in element_energies(vendor, elements, head).items()}
    return Checkpoint(
        family="mace", hyperparameters=hyperparameters, elements=elements, cutoff=hyperparameters["cutoff"],
        element_energies=energies, element_energies_from="given", energy_scale=scale, level_of_theory="", task="",
        recipe={}, forces_are_gradient=True, training={}, state_dict=weights,
    ), ""  # fmt: skip


def _scale_shift(vendor: Any, head: int) -> tuple[float, float]:
    """Return scale and shift of the atomic energies; 1 and 0 where the model has none."""
    if not hasattr(vendor, "scale_shift"):
        return 1.0, 0.0
    block = vendor.scale_shift
    return tuple(float(torch.atleast_1d(v)[head if v.numel() > 1 else 0]) for v in (block.scale, block.shift))  # type: ignore[return-value]


def _one_head(vendor: Any, head: int) -> tuple[Any, str]:
    """Return the model with one of its heads alone, by mace's own tool; or None and why not."""
    with mace_imports():
        from mace.tools.scripts_utils import remove_pt_head
    try:
        with contained(), built_in_float64(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a tensor that it copies
            return remove_pt_head(vendor, vendor.heads[head]), ""
    except Exception as error:  # a tool of the vendor's, for models of its own making
        return None, f"its head cannot be taken alone ({type(error).__name__})"


def _hyperparameters(vendor: Any) -> dict[str, Any]:
    """Read the family's hyperparameters from a module of one head; what cannot be said in them raises."""
    first, last = vendor.interactions[0], vendor.interactions[-1]
    radial, readout = vendor.radial_embedding, vendor.readouts[-1]
    one_layer = len(vendor.interactions) == 1
    correlations = [len(p.symmetric_contractions.contractions[0].weights) + 1 for p in vendor.products]
    return {
        "cutoff": _rounded(vendor.r_max),
        "hidden_irreps": str(vendor.products[0].linear.irreps_out),
        "max_ell": max(ir.l for _, ir in vendor.spherical_harmonics.irreps_out),
        "correlation": _same(correlations, "correlation"),
        "num_interactions": len(vendor.interactions),
        "num_bessel": int(radial.out_dim),
        "num_polynomial_cutoff": int(radial.cutoff_fn.p),
        "radial_MLP": list(first.conv_tp_weights.hs[1:-1]),
        "avg_num_neighbors": _same([float(block.avg_num_neighbors) for block in vendor.interactions], "neighbours"),
        "interaction_cls": type(last).__name__ if not one_layer else "RealAgnosticResidualInteractionBlock",
        "interaction_cls_first": type(first).__name__,
        "radial_type": _NAMES[type(radial.bessel_fn).__name__],
        "distance_transform": _NAMES[type(getattr(radial, "distance_transform", None)).__name__],
        "pair_repulsion": hasattr(vendor, "pair_repulsion_fn"),
        "edge_irreps": str(getattr(vendor, "edge_irreps", None) or ""),
        "apply_cutoff": bool(getattr(vendor, "apply_cutoff", True)),
        "keep_last_layer_irreps": not one_layer and len(vendor.products[-1].linear.irreps_out) > 1,
        **{name: bool(getattr(vendor, name, False)) for name in _FLAGS},
        **({} if one_layer else _of_readout(readout)),
    }


_FLAGS = (
    "use_edge_irreps_first", "use_reduced_cg", "use_so3", "use_agnostic_product", "use_last_readout_only",
)  # fmt: skip
_NAMES = {
    "BesselBasis": "bessel", "GaussianBasis": "gaussian", "ChebychevBasis": "chebyshev",
    "AgnesiTransform": "Agnesi", "SoftTransform": "Soft", "NoneType": "None",
}  # fmt: skip
_GATES: dict[Any, str] = {torch.nn.functional.silu: "silu", torch.tanh: "tanh", torch.abs: "abs"}


def _of_readout(readout: Any) -> dict[str, Any]:
    """Return the hyperparameters of the last readout."""
    act = readout.non_linearity.acts[0]
    function = getattr(act, "f", act)
    gate = "None" if isinstance(function, nn.Identity) or function is None else _GATES[function]
    return {"MLP_irreps": str(readout.hidden_irreps), "gate": gate, "readout_cls": type(readout).__name__}


def _same(values: list[Any], what: str) -> Any:
    if len(set(values)) > 1:
        raise ValueError(f"{what} that differ from layer to layer")
    return values[0]


def _rounded(r_max: Tensor) -> float:
    """Return the cutoff, Å, as it was written: float32 makes 4.9 into 4.900000095."""
    return round(float(r_max), 6)
