"""Conservation: runs, checks of the forces and a diagnosis; a record a molecule."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Any

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.evaluate.common import Show, judgements, part, quiet, refused
from gmd26_md.protocols import conservation
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.subject import Subject, open_subject
from gmd26_md.question import Question
from gmd26_md.records import Record
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)

_WRITE_EVERY = 5  # samples; the file is to look at, the numbers rest on all of them


def measure_conservation(
    question: Question, folder: RunFolder, settings: conservation.Settings, show: Show = quiet
) -> None:
    """Examine every case that has no record yet."""
    asked = asdict(settings)
    done = {r.key for r in folder.records()}
    runnable = []
    for case in question.cases:
        if question.key(case, "conservation", asked, settings.seed) in done:
            continue
        refusal = question.refusal(case)
        if refusal is None:
            runnable.append(case)
        else:
            folder.add(refused(question, case, "conservation", asked, settings.seed, refusal))
    if not runnable:
        return
    other = other_precision(question.subject)
    size = _at_once(question.subject)
    groups = [runnable[i : i + size] for i in range(0, len(runnable), size)]
    for index, group in enumerate(groups):
        so_far = judgements(folder.records(), "conservation")
        told = part(show, index, len(groups), so_far)
        _examine_together(question, folder, settings, asked, group, other, told)


def _at_once(subject: Subject) -> int:
    """Return how many molecules move together, whose runs a kill may cost; each of them moves three times over."""
    if subject.engine == "ase":
        return 4  # one by one anyway
    return 8 if subject.device == "cpu" else 64  # a GPU is idle in a small batch


def other_precision(subject: Subject) -> ForceProvider | None:
    """Return the forces of the same checkpoint in the other precision; None for a calculator without a checkpoint."""
    if subject.path is None:
        return None
    dtype = "float64" if subject.dtype == "float32" else "float32"
    device = "cpu" if subject.device.startswith("mps") else subject.device  # mps has no float64
    return open_subject(
        str(subject.path),
        device=device,
        dtype=dtype,
        engine=subject.engine,
        trust_pickle=subject.trust_pickle,
        arguments=subject.arguments,
    ).provider


def _examine_together(
    question: Question,
    folder: RunFolder,
    settings: conservation.Settings,
    asked: dict[str, Any],
    cases: list[Case],
    other: ForceProvider | None,
    show: Show,
) -> None:
    """Move the cases together, examine the forces of each, and write their records."""
    began = time.monotonic()
    moved = conservation.run(question.subject.provider, cases, settings, other=other, on_progress=show)
    n_atoms = sum(len(c.numbers) for c in cases)
    together = time.monotonic() - began
    for case, dynamics in zip(cases, moved, strict=True):
        show(1.0, f"forces of {case.name}")
        share = together * len(case.numbers) / n_atoms
        folder.add(_record(question, folder, settings, asked, case, dynamics, other, share))


def _record(
    question: Question,
    folder: RunFolder,
    settings: conservation.Settings,
    asked: dict[str, Any],
    case: Case,
    dynamics: conservation.Dynamics,
    other: ForceProvider | None,
    share_s: float,
) -> Record:
    """Return the record of a molecule; an exception in its analysis is its record."""
    began = time.monotonic()
    subject = question.subject
    exact = other if other is not None and subject.dtype == "float32" else subject.provider
    fields: dict[str, Any] = {"metrics": {}, "verdict": None}
    try:
        probed = None
        if dynamics.runs:
            frames = dynamics.runs["whole"].frames["nve"]
            probed = conservation.probe(case, frames, settings, own=subject.provider, exact=exact, other=other)
            target = folder.trajectory_path(f"{case.slug}-nve-seed{settings.seed}")
            frames.part(slice(None, None, _WRITE_EVERY)).write(target)
            fields["trajectory"] = str(target.relative_to(folder.path))
        outcome = conservation.analyse(case, dynamics, probed, settings, dtype=subject.dtype)
        fields |= {"metrics": outcome.metrics, "reason": f"{outcome.judgement}: {outcome.reason}"}
        fields["evidence"] = outcome.evidence
    except Exception as problem:  # it concerns one molecule, and is its record
        log.warning("%s: analysis failed", case.name, exc_info=True)
        fields |= {"verdict": "error", "reason": f"analysis failed, {type(problem).__name__}: {problem}"}
    runs = [dynamics.thermal, *dynamics.runs.values(), dynamics.back, dynamics.other]
    calls = sum(r.n_force_calls for r in runs if r is not None)
    cost = {"wall_s": share_s + time.monotonic() - began, "n_energy_calls": calls}
    return question.record(case, "conservation", asked, seed=settings.seed, cost=cost, **fields)
