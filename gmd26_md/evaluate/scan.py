"""Scans of every molecule, model beside reference: a record a molecule and kind of scan, and the curves as CSV."""

from __future__ import annotations

import csv
import io
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gmd26_md.evaluate.common import Show, judgements, part, quiet, refused
from gmd26_md.files import write_text_whole
from gmd26_md.observables.scans import bond_words
from gmd26_md.protocols import scan, scan_analysis
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.scan import Answers, Scan
from gmd26_md.protocols.scan_settings import Settings
from gmd26_md.question import Question
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)

_SCAN_AT_ONCE = 12  # molecules whose scans a kill may cost
COLUMNS = (
    *("bond", "moved_deg", "moved_A", "length_A", "energy_eV", "slope_eV_per_A", "force_rms_eV_per_A"),
    *("reference_energy_eV", "reference_force_rms_eV_per_A", "force_mae_eV_per_A"),
)


def measure_scan(question: Question, folder: RunFolder, settings: Settings, reference: str, show: Show = quiet) -> None:
    """Scan every case that has not all its records yet: a record for its torsions, one for its stretches."""
    asked = {kind: asdict(settings) | {"scan": kind, "reference": reference} for kind in scan.KINDS}
    done = {r.key for r in folder.records()}
    runnable = []
    for case in question.cases:
        open_kinds = [kind for kind in scan.KINDS if question.key(case, "scan", asked[kind], 0) not in done]
        refusal = question.refusal(case)
        if refusal is None and open_kinds:
            runnable.append(case)
        elif refusal is not None:
            for kind in open_kinds:
                folder.add(refused(question, case, "scan", asked[kind], 0, refusal))
    groups = [runnable[i : i + _SCAN_AT_ONCE] for i in range(0, len(runnable), _SCAN_AT_ONCE)]
    for index, group in enumerate(groups):
        so_far = judgements(folder.records(), "scan")
        _scan_together(question, folder, settings, asked, group, part(show, index, len(groups), so_far))


def _scan_together(
    question: Question,
    folder: RunFolder,
    settings: Settings,
    asked: dict[str, dict[str, Any]],
    cases: list[Case],
    show: Show,
) -> None:
    """Ask the model case by case, then the reference for all together, and write curves and records."""
    began = time.monotonic()
    scans: list[list[Scan]] = []
    answers: list[list[Answers]] = []
    problems: dict[int, str] = {}
    for index, case in enumerate(cases):
        show(0.5 * index / len(cases), f"scanning {case.name}")
        scans.append([])
        answers.append([])
        try:
            mine = scan.scans_of(case, settings)
            found = scan.run(question.subject.provider, case, mine) if mine else []
        except Exception as problem:  # it concerns one molecule, and is its record
            log.warning("%s: scan failed", case.name, exc_info=True)
            problems[index] = f"scan failed, {type(problem).__name__}: {problem}"
            continue
        scans[-1], answers[-1] = mine, found
    chosen = [i for i, mine in enumerate(scans) if mine]
    labelled = scan.ask_reference(
        [cases[i] for i in chosen],
        [scans[i] for i in chosen],
        [answers[i] for i in chosen],
        str(asked["torsion"]["reference"]),
        lambda fraction: show(0.5 + 0.5 * fraction, "asking the reference along the scans"),
    )
    for i, with_reference in zip(chosen, labelled, strict=True):
        answers[i] = with_reference
    n_points = [sum(len(s.moved) for s in mine) * len(c.numbers) for c, mine in zip(cases, scans, strict=True)]
    wall = time.monotonic() - began
    done = {r.key for r in folder.records()}
    for i, case in enumerate(cases):
        for kind in scan.KINDS:
            if question.key(case, "scan", asked[kind], 0) in done:  # killed between its two records
                continue
            pairs = [(s, a) for s, a in zip(scans[i], answers[i], strict=True) if s.kind == kind]
            share = wall * n_points[i] / max(sum(n_points), 1) * len(pairs) / max(len(scans[i]), 1)
            _record(question, folder, settings, asked[kind], case, pairs, problems.get(i), share)


def _record(
    question: Question,
    folder: RunFolder,
    settings: Settings,
    asked: dict[str, Any],
    case: Case,
    pairs: Sequence[tuple[Scan, Answers]],
    problem: str | None,
    wall_s: float,
) -> None:
    """Write the curves of a case's scans of one kind, and then its record, which says that they are there."""
    metrics: dict[str, Any] = {}
    evidence: dict[str, Any] = {}
    verdict: str | None = "error"
    reason = problem or ""
    if problem is None:
        try:
            found = scan_analysis.analyse(case.numbers.tolist(), *_columns(pairs), settings)
            metrics, evidence, verdict = found.metrics, found.evidence, None
            reason = f"{found.judgement}: {found.words}"
        except Exception as failure:  # it concerns one molecule, and is its record
            log.warning("%s: analysis failed", case.name, exc_info=True)
            reason = f"analysis failed, {type(failure).__name__}: {failure}"
    if pairs:
        path = folder.path / "curves" / f"{case.slug}-{asked['scan']}.csv"
        write_text_whole(path, curves_text(case.numbers, pairs))
        evidence["curves"] = str(path.relative_to(folder.path))
    n_calls = sum(len(s.moved) for s, _ in pairs)
    folder.add(
        question.record(
            case,
            "scan",
            asked,
            metrics=metrics,
            verdict=verdict,
            reason=reason,
            cost={"wall_s": wall_s, "n_energy_calls": n_calls},
            evidence=evidence,
        )
    )


def _columns(pairs: Sequence[tuple[Scan, Answers]]) -> tuple[list[Scan], list[Answers]]:
    return [s for s, _ in pairs], [a for _, a in pairs]


def curves_text(numbers: np.ndarray, pairs: Sequence[tuple[Scan, Answers]]) -> str:
    """Return scans as CSV, one line a point; empty where there is no such number.

    `slope_eV_per_A` is dE/dr from the model's forces, in stretches. An infinite or missing answer of the model is
    "inf" or "nan"; the reference's is empty, as it was not asked at most points of a stretch.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for s, a in pairs:
        is_torsion = s.kind == "torsion"
        slope = None if is_torsion else scan.slopes(s, a.forces)
        with np.errstate(over="ignore", invalid="ignore"):
            rms, reference_rms = (np.sqrt((f**2).mean(axis=(1, 2))) for f in (a.forces, a.reference_forces))
            mae = np.abs(a.forces - a.reference_forces).mean(axis=(1, 2))
        name = bond_words(numbers.tolist(), s.bond)
        for p, moved in enumerate(s.moved.tolist()):
            length = s.length_A + (0.0 if is_torsion else moved)
            where = [f"{moved:g}", ""] if is_torsion else ["", f"{moved:.6g}"]
            mine = [f"{a.energies[p]:.9g}", "" if slope is None else f"{slope[p]:.6g}", f"{rms[p]:.6g}"]
            theirs = [a.reference_energies[p], reference_rms[p], mae[p]]
            table.writerow([name, *where, f"{length:.6f}", *mine, *(_known(v) for v in theirs)])
    return out.getvalue()


def _known(value: float) -> str:
    return f"{value:.9g}" if np.isfinite(value) else ""
