"""The one ASE calculator: it keeps ASE's promises, an engine behind it computes.

An engine is a function of one molecule: a trained potential (`potential_engine`), GFN2-xTB (`gfn2_xtb`), PBE-D3(BJ)
(`pbe_d3bj`), the harmonic toy (`harmonic`), the mean of several (`committee`), and any ASE calculator that a function
returns (`named_function`).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, Parameters, all_changes

from gmd26_md.calculators import checkpoint_file, families, named_function
from gmd26_md.calculators.committee import Answers, CommitteeEngine, committee_of
from gmd26_md.calculators.molecule_checks import (
    check_molecule,
    check_neutral_closed_shell,
    same_info,
    spin_multiplicity,
    total_charge,
)
from gmd26_md.calculators.vendors.arguments import checked_arguments
from gmd26_md.errors import UserError, unknown_name


class Engine(Protocol):
    """What stands behind the ASE face: energy and forces of one molecule, as a function of what it is given."""

    @property
    def label(self) -> str:
        """What to call it in a message."""
        ...

    @property
    def elements(self) -> Collection[int]:
        """Atomic numbers that it knows."""
        ...

    @property
    def takes_charge(self) -> bool:
        """Whether it can represent a charge and a spin."""
        ...

    @property
    def device(self) -> str:
        """Where it computes."""
        ...

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None
    ) -> tuple[float, np.ndarray]:
        """Return the energy, eV, and the forces, (n_atoms, 3), float64, eV/Å."""


class MLIPCalculator(Calculator):
    """ASE calculator for a checkpoint, for a committee of several, or for an engine that needs none.

    Energy, free energy and forces come from one evaluation. There is no stress: molecules have no cell. A change of
    `info["charge"]`, `info["spin"]` or `info["multiplicity"]` is a new calculation. Pickles and copies carry the path,
    the file's hash and the options; the weights are read again where they are needed. A NaN that a model returns is
    passed on as it is: whoever runs dynamics must look (the package's own engine does).

    Of a committee, energy and forces are the mean over its members, which need not share family or cutoff. What each
    said is in `committee`, not in `results`: ASE's own "energies" are those of atoms, and any name that ASE does not
    know breaks `Atoms.get_properties` and `SinglePointCalculator(atoms, **results)`.

    Parameters
    ----------
    model
        Path of a checkpoint or of another package's model file, or a name: "gfn2-xtb", "pbe-d3bj/def2-svp", "harmonic",
        or of a function that returns a calculator, "file.py:function". A name goes before a file; write ./harmonic for
        the file. Several paths are a committee.
    device, dtype
        See `load_calculator`.
    sha256
        If given, the checkpoint must be this very file; of a committee one for each member.
    trust_pickle
        Whether a model file of another package may run code from itself, which it needs.
    arguments
        Keyword arguments of a function, or what such a file leaves open; JSON-safe.
    options
        The engine's own, as in its `OPTIONS`; `set` changes them, and device and dtype.

    Raises
    ------
    UserError
        At construction, `set` or evaluation; on one line.
    """

    implemented_properties: ClassVar[tuple[str, ...]] = ("energy", "free_energy", "forces")
    default_parameters: ClassVar[dict[str, Any]] = {
        "device": "auto",
        "dtype": "float64",
        "sha256": "",
        "trust_pickle": False,
        "arguments": {},
    }
    discard_results_on_any_change = True

    def __init__(
        self,
        model: str | Path | Sequence[str | Path],
        *,
        device: str = "auto",
        dtype: str = "float64",
        sha256: str | Sequence[str] = "",
        **options: Any,
    ) -> None:
        self._model = _found(model)
        given = {"device": str(device), "dtype": str(dtype).removeprefix("torch."), "sha256": sha256, **options}
        self.parameters: Parameters
        super().__init__(**given)
        self.engine = self._built_engine()

    @property
    def device(self) -> str:
        """Where it computes: what "auto" came to."""
        return self.engine.device

    @property
    def committee(self) -> Answers | None:
        """What each member said of the molecule that `results` are of; None where there are none, or one model only."""
        return self.engine.answers if isinstance(self.engine, CommitteeEngine) and self.results else None

    def get_default_parameters(self) -> Parameters:
        """Return the defaults, the engine's own options among them."""
        return Parameters({**self.default_parameters, **_options_of(self._model)})

    def get_spin_polarized(self) -> bool:
        """Return False: no spin densities here."""
        return False

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Set device, dtype or options; return what changed. A refused value changes nothing.

        Raises
        ------
        UserError
            For an unknown option, or a value that is not allowed.
        """
        allowed = self.get_default_parameters()
        for name in kwargs:
            if name not in allowed:
                raise unknown_name(f"option of {_called(self._model)}", name, allowed)
        before = Parameters(self.parameters)
        changed: dict[str, Any] = super().set(**kwargs)
        if changed and hasattr(self, "engine"):  # ASE's own __init__ calls set, too early to build
            try:
                self.engine = self._built_engine()
            except Exception:
                self.parameters = before
                raise
        return changed

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return what recreates this calculator, `MLIPCalculator(**calc.todict())`; JSON-safe."""
        return copy.deepcopy({"model": self._model, **super().todict(skip_default=skip_default)})  # it holds lists

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what changed since the last calculation, charge and spin in `atoms.info` among it."""
        changes: list[str] = super().check_state(atoms, tol=tol)
        if self.atoms is not None and not same_info(self.atoms, atoms):
            changes.append("info")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute energy, free energy and forces in one evaluation, whatever is asked.

        Raises
        ------
        UserError
            If the molecule is not one that the model can evaluate; then no old result is kept.
        ase.calculators.calculator.CalculationFailed
            If the engine does not come to a result (a self-consistent field that does not converge).
        """
        super().calculate(atoms, list(properties), list(system_changes))
        self.results = {}  # before anything can fail: an old result must not answer for a new molecule
        molecule, engine = self.atoms, self.engine
        check_molecule(molecule, engine.elements, engine.label)
        charge = total_charge(molecule, self.parameters.get("charge"))
        multiplicity = spin_multiplicity(molecule, self.parameters.get("multiplicity"))
        if not engine.takes_charge:
            check_neutral_closed_shell(molecule, charge, multiplicity, engine.label)
        energy, forces = engine(molecule.numbers, molecule.positions, charge, multiplicity)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}

    def _built_engine(self) -> Engine:
        """Return an engine made from the parameters; note the hash of a checkpoint among them."""
        parameters = self.parameters
        device, dtype = parameters["device"], parameters["dtype"]
        more = {name: parameters[name] for name in ("trust_pickle", "arguments")}
        if isinstance(self._model, list):
            engine, parameters["sha256"] = committee_of(self._model, device, dtype, parameters["sha256"], **more)
            return engine
        if families.is_engine(self._model):
            checked_arguments(more["arguments"], (), Path(self._model))
            options = {name: parameters[name] for name in _options_of(self._model)}
            return _named_engine(self._model, device, dtype, options)
        if named_function.is_function(self._model):
            made = named_function.FunctionEngine(self._model, more["arguments"], device, dtype)
            if parameters["sha256"] not in ("", made.source.sha256):
                raise UserError(f"{made.label} has changed since this calculator was made; load it again.")
            parameters["sha256"] = made.source.sha256
            return made
        from gmd26_md.calculators.potential_engine import PotentialEngine

        trained = PotentialEngine(Path(self._model), device, dtype, sha256=parameters["sha256"], **more)
        parameters["sha256"] = trained.sha256
        return trained


def _found(model: str | Path | Sequence[str | Path]) -> str | list[str]:
    """Return the name of an engine or the absolute path of a checkpoint, or the paths of a committee, or raise."""
    if isinstance(model, (str, Path)):
        if named_function.is_function(str(model)):
            return named_function.full_function(str(model))
        return str(model) if families.is_engine(str(model)) else str(_checkpoint_path(str(model)))
    members = [str(member) for member in model]
    if len(members) < 2:
        raise UserError(f"a committee of {len(members)} was given; name two checkpoints or more, or one path alone.")
    for member in members:
        if families.is_engine(member) or named_function.is_function(member):
            raise UserError(f"{member} cannot be a member of a committee; only checkpoints can. Leave it out.")
    return [str(_checkpoint_path(member)) for member in members]


def _called(model: str | list[str]) -> str:
    if isinstance(model, list):
        return f"a committee of {len(model)}"
    return model if families.is_engine(model) or named_function.is_function(model) else Path(model).name


def _checkpoint_path(model: str) -> Path:
    """Return the absolute path of a checkpoint file, or raise with the closest file or name."""
    path = Path(model)
    if path.exists():
        return path.resolve()
    if len(path.parts) > 1 or path.suffix:
        raise checkpoint_file.no_such_file(path)
    if model in families.family_names():
        raise UserError(
            f"{model!r} is a family of models, not a trained one; give a checkpoint, or train one with "
            f"`gmd26-md train --family {model}`."
        )
    beside = [f.name for f in Path().iterdir() if f.suffix == ".pt"]
    raise unknown_name("calculator or checkpoint", model, [*families.engine_names(), *beside])


def _options_of(model: str | list[str]) -> dict[str, Any]:
    """Return the options of a named engine with their defaults; checkpoints have none."""
    return families.engine_options(model) if isinstance(model, str) and families.is_engine(model) else {}


def _named_engine(name: str, device: str, dtype: str, options: dict[str, Any]) -> Engine:
    if device not in ("auto", "cpu"):
        raise UserError(f"{name} computes on the cpu, not on {device!r}; leave the device out, or say cpu.")
    if dtype != "float64":
        raise UserError(f"{name} computes in float64, not in {dtype!r}; leave the precision out, or say float64.")
    return families.built_engine(name, options)
