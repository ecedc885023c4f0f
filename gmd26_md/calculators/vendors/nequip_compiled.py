"""A compiled model of nequip (`nequip-compile`), run as it is: TorchScript, or a shared library of AOTInductor.

What it must be given stands beside its code, and it needs nequip no more. It gives the energy of every atom, and takes
the pairs that it is given: so a whole batch is one call, as one frame of molecules that do not see each other. Its
hyperparameters it does not tell, so that it is never a checkpoint of ours.
"""

from __future__ import annotations

import importlib
import io
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.side_effects import contained
from gmd26_md.calculators.vendors.agreement import Answer, answer_of, difference, test_batch
from gmd26_md.calculators.vendors.arguments import checked_arguments
from gmd26_md.calculators.vendors.model import VendorModel, Whole
from gmd26_md.calculators.vendors.nequip_about import AGAIN, INSTEAD, About, about_compiled
from gmd26_md.calculators.vendors.unpickle import run_file
from gmd26_md.errors import UserError

_TOLERANCES = {"float32": 1e-4}  # eV an atom and eV/Å: energies of a hundred eV have seven digits
_N_ASKED = 30  # systems; of a model of all elements there would be hundreds


def open_compiled(content: bytes, path: Path, words: str, sha256: str, arguments: Mapping[str, Any]) -> VendorModel:
    """Open a compiled model that the user trusts. This runs code from the file.

    Raises
    ------
    UserError
        If it was compiled for another machine or device, does not say what it must be told, or says of a batch
        something else than of its molecules one by one.
    """
    checked_arguments(arguments, (), path)
    about = about_compiled(content, path)
    _check_machine(about, path)
    whole = Whole(
        network=lambda: CompiledNequIP(about, _loaded(content, path, words, about), path.name),
        cutoff=about.cutoff,
        element_energies=dict.fromkeys(about.elements, 0.0),  # they are in what it gives
    )
    try:
        wrong = _not_one_by_one(whole, about)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-160:]
        raise UserError(f"{path} is {words} that does not answer as one ({reason}); {INSTEAD}.") from error
    if wrong:
        raise UserError(f"{path} is {words} that takes no molecules side by side ({wrong}); {INSTEAD}.")
    return VendorModel(
        family="nequip-compiled", kind=words, elements=tuple(sorted(about.elements)), sha256=sha256, path=path,
        whole=whole, checkpoint=None, why_whole="a compiled model does not tell its hyperparameters",
    )  # fmt: skip


class CompiledNequIP(nn.Module):
    """What `nequip-compile` wrote, behind a `Batch`.

    Positions go in as float64, whatever the precision of its weights, as nequip gives them.
    """

    forces_are_gradient = False  # they are, but it derives them itself
    types: Tensor
    cutoffs: Tensor

    def __init__(self, about: About, compiled: Callable[..., Any], name: str) -> None:
        super().__init__()
        self._about, self._name = about, name
        self._compiled = (compiled,)  # hidden from torch, which would cast the weights of a script
        place = about.device or "cpu"
        self.anchor = nn.Parameter(torch.zeros((), dtype=torch.float64, device=place), requires_grad=False)
        types = torch.zeros(120, dtype=torch.int64)
        types[list(about.elements)] = torch.arange(len(about.elements))
        self.register_buffer("types", types.to(place), persistent=False)
        cutoffs = torch.tensor(about.pair_cutoffs, dtype=torch.float64)
        self.register_buffer("cutoffs", cutoffs.to(place), persistent=False)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return energies of atoms, (n_atoms,), eV, float64, and forces, (n_atoms, 3), eV/Å."""
        n_atoms = len(batch.numbers)
        data = self._frame(batch)
        if self._about.inputs:
            with torch.no_grad():
                values = self._compiled[0]([data[name] for name in self._about.inputs])
            said = dict(zip(self._about.outputs, values, strict=True))
        else:  # unoptimised: to optimise takes seconds, again for other sizes, and gains nothing on a CPU
            with torch.enable_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined, no-untyped-call]
                said = self._compiled[0](data)
        energies, forces = said["atomic_energy"].detach(), said["forces"].detach()
        return energies.double().view(-1)[:n_atoms], forces[:n_atoms].to(batch.positions.dtype)

    def _frame(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch as one frame in nequip's words; where that is needed, with a dimer that nobody sees.

        AOTInductor takes sizes of nought and one for special cases and does not compile them: at least two pairs there
        must be, and two frames in a model that takes frames.
        """
        positions, kinds = batch.positions.detach().double(), self.types.index_select(0, batch.numbers)
        pairs = self._pairs(batch, positions, kinds)
        several, n_atoms = "batch" in self._about.inputs, len(kinds)
        if several or pairs.shape[1] < 2:
            dimer = positions.new_tensor([[0.0, 0.0, 0.0], [min(1.0, self._about.cutoff / 2), 0.0, 0.0]])
            positions, kinds = torch.cat([positions, dimer]), torch.cat([kinds, kinds.new_zeros(2)])
            pairs = torch.cat([pairs, n_atoms + pairs.new_tensor([[0, 1], [1, 0]])], dim=1)
        data = {"pos": positions, "edge_index": pairs, "atom_types": kinds}
        if not self._about.inputs:
            return data
        sizes = kinds.new_tensor([n_atoms, 2] if several else [len(kinds)])
        cell = torch.eye(3).to(positions).expand(len(sizes), 3, 3).contiguous()  # only for a stress that is not used
        return data | {
            "cell": cell,
            "edge_cell_shift": positions.new_zeros((pairs.shape[1], 3)),
            "batch": torch.repeat_interleave(sizes),
            "num_atoms": sizes,
        }

    def _pairs(self, batch: Batch, positions: Tensor, kinds: Tensor) -> Tensor:
        """Return the pairs within the cutoff of their elements."""
        if not self.cutoffs.numel():
            return batch.pairs
        centre, neighbour = batch.pairs
        distance = (positions[neighbour] - positions[centre]).norm(dim=-1)
        return batch.pairs[:, distance < self.cutoffs[kinds[centre], kinds[neighbour]]]

    def _apply(self, *args: Any, **kwargs: Any) -> CompiledNequIP:
        """Move (a hook of torch), where it can be moved."""
        super()._apply(*args, **kwargs)
        if self.anchor.dtype != torch.float64:
            raise UserError(
                f"{self._name} was compiled in {self._about.precision or 'a precision of its own'} and takes positions "
                "in float64; leave the precision at float64."
            )
        if self._about.device and self.anchor.device.type != self._about.device:
            raise UserError(
                f"{self._name} was compiled for the device {self._about.device}, not {self.anchor.device.type}; use "
                f"--device {self._about.device}, or compile it again."
            )
        if not self._about.device:
            self._compiled[0].to(self.anchor.device)  # type: ignore[attr-defined]
        return self


def _check_machine(about: About, path: Path) -> None:
    """Raise if the code was compiled for what is not here."""
    here = f"{sys.platform} {platform.machine()}"
    if about.machine and about.machine != here:
        raise UserError(f"{path} was compiled for {about.machine}, this is {here}; {AGAIN}, or {INSTEAD}.")
    if about.device == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{path} was compiled for cuda, which is not here; compile it for the cpu, or {INSTEAD}.")
    for library in about.libraries:
        try:
            with contained():
                importlib.import_module(library)
        except ImportError as error:
            raise UserError(f"{path} calls {library}, which cannot be imported ({error}); install it.") from error


def _loaded(content: bytes, path: Path, words: str, about: About) -> Callable[..., Any]:
    """Return the code, ready to be called; of AOTInductor with a list, of a script with a dictionary."""

    def load(at: io.BytesIO) -> Any:
        if about.inputs:
            from torch._inductor import aoti_load_package

            return aoti_load_package(at)
        return torch.jit.load(at, map_location="cpu").eval()  # type: ignore[no-untyped-call]

    loaded: Callable[..., Any] = run_file(
        load, content, path, words, cure=f"compiled code depends on the version of torch: {AGAIN}, or {INSTEAD}"
    )
    return loaded


def _not_one_by_one(whole: Whole, about: About) -> str:
    """Say how the answer for a batch differs from those for its systems one by one; nothing where it does not."""
    potential, device = whole.potential(about.device or "cpu"), about.device or "cpu"
    batch = test_batch(about.elements, whole.cutoff)
    sizes = torch.bincount(batch.system_idx).tolist()
    numbers = [part.numpy() for part in batch.numbers.split(sizes)][-_N_ASKED:]  # dimers, and all clusters
    places = batch.positions.split(sizes)[-_N_ASKED:]

    def answer(of: Sequence[np.ndarray], positions: Tensor) -> Answer:
        energies, forces = answer_of(potential, Layout.of(of, device).batch(positions.to(device), whole.cutoff))
        return energies.cpu(), forces.cpu()

    alone = [answer([z], at) for z, at in zip(numbers, places, strict=True)]
    apart = torch.cat([energy for energy, _ in alone]), torch.cat([forces for _, forces in alone])
    asked = Layout.of(numbers).batch(torch.cat(places), whole.cutoff)
    return difference(answer(numbers, asked.positions), apart, asked, _TOLERANCES.get(about.precision, 1e-9))
