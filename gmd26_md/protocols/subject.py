"""The model under test, opened: what it is called, what it knows, and where its forces come from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmd26_md import strict_json
from gmd26_md.calculators import provenance
from gmd26_md.dynamics.committee_forces import CommitteeForces
from gmd26_md.dynamics.forces import AseForces, ForceProvider, PotentialForces
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.files import sha256_of
from gmd26_md.metrics import DIRECT_FORCES

if TYPE_CHECKING:
    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.vendors.model import VendorModel

ENGINES = ("auto", "batched", "ase")
_TRAINING = ("steps", "seconds", "stopped_by", "seed", "n_parameters", "n_train_frames")
_kept: OrderedDict[str, Subject] = OrderedDict()
_n_kept = 0
_LONGEST_NAME = 100  # characters of a committee's name, which is also that of its run folder


@dataclass(frozen=True)
class Subject:
    """A model that is put to the test.

    Attributes
    ----------
    name
        How reports call it: the file's stem (of `best.pt` the folder's name), or the calculator's name; those of a
        committee joined with "+".
    family
        "deepset-moe", "gfn2-xtb"; those of a committee joined with "+".
    sha256
        Of the checkpoint file; of the name for a calculator without a file; of the members' hashes for a committee.
    task
        The task it was trained on, or None; of a committee, the one on which all its members were.
    level_of_theory
        Of its training labels.
    elements
        Atomic numbers that it knows, or that every member knows; None if it does not say.
    device, dtype
        Where and in which precision it runs.
    engine
        "batched" or "ase".
    provider
        Its forces.
    folder
        Where its file lies, or the first one named; frames may lie beside it.
    path
        The checkpoint file; None for a calculator by name, and for a committee.
    members
        Hashes of a committee's files, in the order of `provider.members` on the batched road; empty for one model.
    trust_pickle, arguments
        What it was opened with, beside device and precision.
    source
        What the hash of a function was made of, else empty; JSON-safe.
    note
        What a user should know of how it is run; a line, or empty.
    training
        What its checkpoint says of the training: steps, seconds, numbers of frames and parameters, seed; else empty.
    trained_on
        Names of the molecules that trained it, as its checkpoint says, with their constitution; that is empty where
        the name says it, since the molecule is the benchmark's. Of a committee, all that trained any member.
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
    path: Path | None = None
    members: tuple[str, ...] = ()
    trust_pickle: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    trained_on: tuple[tuple[str, str], ...] = ()


def keep_warm(n_models: int) -> None:
    """Keep the models opened last in this process, for whoever asks for the same content again; 0 keeps none.

    For processes that run one command after another. Only files that run batched are kept: they hold no state from one
    run to the next, which a calculator may.
    """
    global _n_kept
    _n_kept = n_models
    while len(_kept) > n_models:
        _kept.popitem(last=False)


def open_subject(
    model: str | Sequence[str],
    *,
    device: str = "auto",
    dtype: str = "float64",
    engine: str = "auto",
    trust_pickle: bool = False,
    arguments: Mapping[str, Any] | None = None,
) -> Subject:
    """Open a model file, a calculator by name ("gfn2-xtb", "file.py:function"), or several files as a committee.

    Where neither file nor calculator says what it was trained on, `level_of_theory` is empty. The order of a
    committee's files does not matter: the same set is the same subject, to the last bit.

    Raises
    ------
    UserError
        For everything that `load_calculator` refuses, for the batched engine on a model that has no batch, and for
        members of a committee that were trained on labels of different levels of theory.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if not isinstance(model, str):
        if len(model) != 1:
            return _open_committee(list(model), device, dtype, engine, trust_pickle, dict(arguments or {}))
        model = model[0]
    from gmd26_md.calculators import load_calculator, named_function

    given = dict(arguments or {})
    if named_function.is_function(model):
        return _open_function(model, device, dtype, engine, given)
    if _is_named(model):  # a name goes before a file, as in `load_calculator`
        model = _full_name(model)
        if engine == "batched":
            raise UserError(f"{model} moves one molecule at a time and has no batch; use --engine ase or auto.")
        known = load_calculator(model, device=device, dtype=dtype, arguments=given).engine.elements  # and complain now
        return Subject(
            name=model.replace("/", "-"), family=model, sha256=hashlib.sha256(model.encode()).hexdigest(), task=None,
            level_of_theory=model, elements=frozenset(known), device="cpu", dtype="float64", engine="ase",
            provider=AseForces(lambda: load_calculator(model)), folder=None,
        )  # fmt: skip
    if engine == "ase" or not _n_kept:
        return _open_file(model, device, dtype, engine, trust_pickle, given)
    return _warm_file(model, device, dtype, engine, trust_pickle, given)


def _is_named(model: str) -> bool:
    from gmd26_md.calculators import families

    return families.is_engine(model)


def _full_name(model: str) -> str:
    from gmd26_md.calculators import families

    return families.full_name(model)


def _open_function(model: str, device: str, dtype: str, engine: str, arguments: dict[str, Any]) -> Subject:
    from gmd26_md.calculators import load_calculator
    from gmd26_md.calculators.named_function import FunctionEngine

    if engine == "batched":
        raise UserError(f"{model} moves one molecule at a time and has no batch; use --engine ase or auto.")
    calculator = load_calculator(model, device=device, dtype=dtype, arguments=arguments)
    made = calculator.engine
    if not isinstance(made, FunctionEngine):
        raise TypeError(f"{model} is no function")
    return Subject(
        name=made.label.replace(".py:", "-").replace(":", "-"), family=made.label, sha256=made.source.sha256, task=None,
        level_of_theory="", elements=frozenset(made.elements), device=made.device, dtype=dtype, engine="ase",
        provider=AseForces(lambda: calculator), folder=None, arguments=arguments, source=made.source.as_dict(),
    )  # fmt: skip


def _warm_file(
    model: str, device: str, dtype: str, engine: str, trust_pickle: bool, arguments: dict[str, Any]
) -> Subject:
    """Return the model that was opened before from the same place, content and arguments; else open it, and keep it."""
    path = Path(model).resolve()
    if not path.is_file():
        return _open_file(model, device, dtype, engine, trust_pickle, arguments)
    key = strict_json.canonical([str(path), model, sha256_of(path), device, dtype, engine, trust_pickle, arguments])
    if key not in _kept:
        _kept[key] = _open_file(model, device, dtype, engine, trust_pickle, arguments)
    _kept.move_to_end(key)
    keep_warm(_n_kept)
    return _kept[key]


def _open_file(
    model: str, device: str, dtype: str, engine: str, trust_pickle: bool, arguments: dict[str, Any]
) -> Subject:
    from gmd26_md.calculators import load_calculator
    from gmd26_md.calculators.device import choose_device
    from gmd26_md.calculators.model_file import open_model_file

    opened = open_model_file(model, trust_pickle=trust_pickle, arguments=arguments)
    place = choose_device(device, dtype)
    provider: ForceProvider
    if engine == "ase":
        calculator = load_calculator(
            model, device=str(place), dtype=dtype, trust_pickle=trust_pickle, arguments=arguments
        )
        provider = AseForces(lambda: calculator)
    else:
        provider = PotentialForces(opened.potential(place, dtype))
    return Subject(
        name=provenance.name_of_file(Path(model)), family=_family(opened), sha256=opened.sha256,
        task=opened.task or None,
        level_of_theory=opened.level_of_theory, elements=frozenset(opened.elements), device=str(place),
        dtype=dtype, engine="ase" if engine == "ase" else "batched", provider=provider,
        folder=Path(model).resolve().parent, path=Path(model).resolve(),
        trust_pickle=trust_pickle, arguments=arguments, note=_note(Path(model), opened), training=_training(opened),
        trained_on=_trained_on(opened),
    )  # fmt: skip


def _training(opened: Checkpoint | VendorModel) -> dict[str, Any]:
    """Return what a checkpoint of ours says of its training, a few plain numbers."""
    known = getattr(opened, "training", {})
    return {name: known[name] for name in _TRAINING if isinstance(known.get(name), int | float | str)}


def _trained_on(opened: Checkpoint | VendorModel) -> tuple[tuple[str, str], ...]:
    """Return the names of the molecules that trained a checkpoint of ours, with what it says of their constitution."""
    return provenance.trained_on(getattr(opened, "training", {}))


def trained_on(model: str | Path) -> tuple[tuple[str, str], ...]:
    """Return what trained a checkpoint of ours, as `Subject.trained_on`; empty for any other model."""
    from gmd26_md.calculators.checkpoint import load_checkpoint

    try:
        return _trained_on(load_checkpoint(model))
    except (UserError, OSError):
        return ()


def _family(opened: Checkpoint | VendorModel) -> str:
    """Return the family as reports name it: forces that are no gradient of the energy are another kind of model."""
    return opened.family if opened.forces_are_gradient else f"{opened.family}{DIRECT_FORCES}"


def _note(path: Path, opened: Checkpoint | VendorModel) -> str:
    """Say how a file of another package is run; nothing of a checkpoint of ours."""
    from gmd26_md.calculators.checkpoint import Checkpoint

    if isinstance(opened, Checkpoint):
        return ""
    if opened.checkpoint is not None:
        return f"{path.name} is {opened.kind}; it runs as our {opened.family}, which was held against the original."
    return f"{path.name} is {opened.kind}; it runs as a whole: {opened.why_whole}."


def _open_committee(
    models: list[str], device: str, dtype: str, engine: str, trust_pickle: bool, arguments: dict[str, Any]
) -> Subject:
    from gmd26_md.calculators import load_calculator
    from gmd26_md.calculators.device import choose_device
    from gmd26_md.calculators.model_file import open_model_file

    place = choose_device(device, dtype)
    more: dict[str, Any] = {"trust_pickle": trust_pickle, "arguments": arguments}
    load_calculator(models, device=str(place), dtype=dtype, **more)  # refuses what is no committee
    found = sorted((open_model_file(m, **more) for m in models), key=lambda c: c.sha256)
    _refuse_different_labels(found)
    tasks = {c.task for c in found}
    provider: ForceProvider
    if engine == "ase":
        calculator = load_calculator([str(c.path) for c in found], device=str(place), dtype=dtype, **more)
        provider = AseForces(lambda: calculator)
    else:
        provider = CommitteeForces([PotentialForces(c.potential(place, dtype)) for c in found])
    hashes = tuple(c.sha256 for c in found)
    return Subject(
        name=_committee_name(found), family="+".join(sorted({_family(c) for c in found})),
        sha256=hashlib.sha256(" ".join(hashes).encode()).hexdigest(),
        task=(tasks.pop() or None) if len(tasks) == 1 else None, level_of_theory=found[0].level_of_theory,
        elements=frozenset.intersection(*[frozenset(c.elements) for c in found]), device=str(place), dtype=dtype,
        engine="ase" if engine == "ase" else "batched", provider=provider,
        folder=Path(models[0]).resolve().parent, members=hashes, **more,
        trained_on=tuple(dict.fromkeys(entry for c in found for entry in _trained_on(c))),
    )  # fmt: skip


def _refuse_different_labels(members: list[Checkpoint | VendorModel]) -> None:
    levels = {c.level_of_theory: Path(str(c.path)).name for c in members}
    if len(levels) > 1:
        told = ", ".join(f"{name} on {level}" for level, name in sorted(levels.items()))
        raise UserError(
            f"the members of the committee were trained on different labels ({told}), so that their mean has no "
            "reference; name checkpoints of one level of theory."
        )


def _committee_name(members: list[Checkpoint | VendorModel]) -> str:
    stems = "+".join(sorted(provenance.name_of_file(Path(str(c.path))) for c in members))
    if len(stems) <= _LONGEST_NAME:
        return stems
    digest = hashlib.sha256(" ".join(c.sha256 for c in members).encode()).hexdigest()
    return f"committee-of-{len(members)}-{digest[:8]}"
