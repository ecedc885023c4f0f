"""What is asked of a model, and the parts of a record that follow from it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.errors import UserError, unknown_name
from gmd26_md.files import sha256_of
from gmd26_md.host import host_kind, max_rss_MB
from gmd26_md.observables.verdict import Evidence
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.subject import Subject
from gmd26_md.records import Record, run_key, structure_sha256
from gmd26_md.tasks import Task


@dataclass(frozen=True)
class Question:
    """A model, and the molecules to try it on.

    Attributes
    ----------
    subject
        The model.
    task
        Name of the task, or "user" for structures of the user's own.
    cases
        The molecules.
    definition
        The task itself, where the one who asked has it.
    """

    subject: Subject
    task: str
    cases: Sequence[Case]
    definition: Task | None = None

    @property
    def task_sha256(self) -> str:
        """The hash of a task of one's own, whose name alone does not say which it is; else empty."""
        return "" if self.definition is None else self.definition.sha256

    def content(self, protocol: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what makes this question that one, for the run folder."""
        source: dict[str, Any] = {"model_source": dict(self.subject.source)} if self.subject.source else {}
        source |= {"task_sha256": self.task_sha256} if self.task_sha256 else {}
        source |= _reference_source(settings)
        return source | {
            "protocol": protocol,
            "model": self.subject.name,
            "model_sha256": self.subject.sha256,
            "task": self.task,
            "molecules": {c.slug: structure_of(c) for c in self.cases},
            "frames": {c.slug: _frames_digest(c) for c in self.cases},
            "dtype": self.subject.dtype,
            "engine": self.subject.engine,
            "settings": settings,
        }

    def key(self, case: Case, protocol: str, settings: dict[str, Any], seed: int) -> str:
        """Return the key that the record of a run will have, known before the run."""
        return run_key(protocol, self.subject.sha256, case.name, structure_of(case), settings, seed)

    def record(
        self,
        case: Case,
        protocol: str,
        settings: dict[str, Any],
        *,
        seed: int = 0,
        metrics: dict[str, Any] | None = None,
        cost: dict[str, Any] | None = None,
        **rest: Any,
    ) -> Record:
        """Return the record of a run; `rest` are further fields of `Record`. Its cost gets memory and kind of host."""
        subject = self.subject
        return Record(
            model=subject.name,
            model_sha256=subject.sha256,
            family=subject.family,
            molecule=case.name,
            formula=case.formula,
            split=case.split,
            task=self.task,
            task_sha256=self.task_sha256,
            molecule_slug=case.slug,
            protocol=protocol,
            settings=settings,
            seed=seed,
            metrics=metrics or {},
            cost={**(cost or {}), "max_rss_MB": max_rss_MB(), "host": host_kind()},
            versions=versions(),
            device=f"{subject.device} {subject.dtype} {subject.engine}",
            structure_sha256=structure_of(case),
            **rest,
        )

    def refusal(self, case: Case) -> Evidence | None:
        """Return the evidence of a case that cannot be run, or None."""
        if not self.knows(case):
            return Evidence(unsupported=f"{self.subject.name} does not know all elements of {case.formula}")
        if case.minimum is None:
            return Evidence(error="the reference found no minimum to start from")
        return None

    def knows(self, case: Case) -> bool:
        """Tell whether the model knows all elements of a case."""
        return self.subject.elements is None or set(case.numbers.tolist()) <= self.subject.elements


def reference_of(subject: Subject, asked: str | None) -> str:
    """Return what labels the runs: as asked, or the level of theory of the model's own training; a name in full.

    Raises
    ------
    UserError
        If no calculator of that name or file is at hand, or it needs a package that is not.
    """
    from gmd26_md.calculators import families, load_calculator, named_function

    name = asked or subject.level_of_theory
    if not name:
        raise UserError(
            f"{subject.name} does not say at which level of theory it was trained; say so with --level-of-theory, or "
            f"name what judges it with --reference: {', '.join(families.engine_names())}."
        )
    known = families.engine_names()
    if families.is_engine(name):
        families.built_engine(name, families.engine_options(name))  # complain now
        return families.full_name(name)
    if asked and named_function.is_function(name):
        made = load_calculator(name)  # complain now
        if made.parameters["sha256"] == subject.sha256:
            raise UserError(f"--reference {name} is the model under test, which cannot judge itself; name another.")
        return named_function.full_function(name)
    if asked and Path(name).is_file():  # a path is followed only where the user gave it, not the checkpoint's card
        if sha256_of(Path(name)) in (subject.sha256, *subject.members):
            raise UserError(f"--reference {name} is the model under test, which cannot judge itself; name another.")
        return name
    if asked:
        raise unknown_name("reference", asked, known)
    raise UserError(
        f"{subject.name} was trained on {name}, which cannot be computed here; "
        f"name a reference that can with --reference: {', '.join(known)}."
    )


def structure_of(case: Case) -> str:
    """Return the hash of the geometry that a case starts from."""
    positions = case.structure.positions if case.minimum is None else case.minimum.positions[0]
    return structure_sha256(case.numbers, np.asarray(positions))


def _reference_source(settings: dict[str, Any]) -> dict[str, str]:
    """Return the hash of the reference that settings name, where its name alone does not say which it is."""
    from gmd26_md.reference.identity import reference_identity

    name = _reference_in(settings)
    identity = reference_identity(name) if name else ""
    return {} if identity == name else {"reference_sha256": identity}


def _reference_in(settings: dict[str, Any]) -> str:
    """Return the reference that settings name, be it in a part of them; empty where none does."""
    parts = [_reference_in(value) for value in settings.values() if isinstance(value, dict)]
    return next(filter(None, [str(settings.get("reference") or ""), *parts]), "")


def _frames_digest(case: Case) -> str | None:
    """Return a hash of a case's reference frames, so that errors on other frames are another question."""
    if case.frames is None:
        return None
    digest = hashlib.sha256()
    for array in (case.frames.positions, case.frames.energies, case.frames.forces):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions that a record rests on; those of the families' packages where they are installed."""
    from gmd26_md.calculators import families

    ours = {name: version(name) for name in ("gmd26-md", "ase", "numpy")}
    return ours | families.installed_versions() | {"python": sys.version.split()[0]}
