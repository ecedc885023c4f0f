"""The model under test, opened: what it is called, what it knows, and where its forces come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gmd26_md.dynamics.forces import AseForces, ForceProvider, PotentialForces
from gmd26_md.errors import UserError, unknown_name

ENGINES = ("auto", "batched", "ase")


@dataclass(frozen=True)
class Subject:
    """A model that is put to the test.

    Attributes
    ----------
    name
        How reports call it: the file's stem, or the calculator's name.
    family
        "deepset-moe", "gfn2-xtb".
    sha256
        Of the checkpoint file; of the name for a calculator without a file.
    task
        The task it was trained on, or None.
    level_of_theory
        Of its training labels.
    elements
        Atomic numbers that it knows; None if it does not say.
    device, dtype
        Where and in which precision it runs.
    engine
        "batched" or "ase".
    provider
        Its forces.
    folder
        Where its file lies; frames may lie beside it.
    """

    name: str
    family: str
    sha256: str
    task: str | None
    level_of_theory: str
    elements: frozenset[int] | None
    device: str
    dtype: str
    engine: str
    provider: ForceProvider
    folder: Path | None


def open_subject(model: str, *, device: str = "auto", dtype: str = "float64", engine: str = "auto") -> Subject:
    """Open a checkpoint file, or a calculator by name ("gfn2-xtb").

    Raises
    ------
    UserError
        For everything that `load_calculator` refuses, and for the batched engine on a model that has no batch.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    from gmd26_md.calculators import load_calculator

    if _is_named(model):  # a name goes before a file, as in `load_calculator`
        if engine == "batched":
            raise UserError(f"{model} moves one molecule at a time and has no batch; use --engine ase or auto.")
        known = load_calculator(model, device=device, dtype=dtype).engine.elements  # and complain now
        return Subject(
            name=model, family=model, sha256=hashlib.sha256(model.encode()).hexdigest(), task=None,
            level_of_theory=model, elements=frozenset(known), device="cpu", dtype="float64", engine="ase",
            provider=AseForces(lambda: load_calculator(model)), folder=None,
        )  # fmt: skip
    return _open_checkpoint(model, device, dtype, engine)


def _is_named(model: str) -> bool:
    from gmd26_md.calculators import families

    return model in families.engine_names()


def _open_checkpoint(model: str, device: str, dtype: str, engine: str) -> Subject:
    from gmd26_md.calculators import load_calculator, load_checkpoint
    from gmd26_md.calculators.device import choose_device

    checkpoint = load_checkpoint(model)
    place = choose_device(device, dtype)
    provider: ForceProvider
    if engine == "ase":
        calculator = load_calculator(model, device=str(place), dtype=dtype)
        provider = AseForces(lambda: calculator)
    else:
        provider = PotentialForces(checkpoint.potential(place, dtype))
    return Subject(
        name=Path(model).stem, family=checkpoint.family, sha256=checkpoint.sha256, task=checkpoint.task or None,
        level_of_theory=checkpoint.level_of_theory, elements=frozenset(checkpoint.elements), device=str(place),
        dtype=dtype, engine="ase" if engine == "ase" else "batched", provider=provider,
        folder=Path(model).resolve().parent,
    )  # fmt: skip
