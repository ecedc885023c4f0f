"""The judgement of a molecule whose runs were compared: within noise, off, or unsettled, with the number that decided.

Every check passes only if its `<=` is true, so that a number that is none is never within noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmd26_md.observables.kinds import Kind
from gmd26_md.protocols.distributions import Settings

# what is compared: words, the metric's name before its unit, the unit's ending and word
FAMILIES = {
    "hr": ("h(r)", "hr_mae", "ratio", ""),
    "bond": ("bond lengths", "bond_wasserstein", "ratio", "of the spread"),
    "angle": ("angles", "angle_wasserstein", "ratio", "of the spread"),
    "torsion": ("torsions", "torsion_wasserstein", "ratio", "of the spread"),
    "stretch": ("spectra of the bonds", "stretch_wasserstein", "per_cm", "1/cm"),
    "spectrum": ("vibrational spectra of the atoms", "spectrum_wasserstein", "per_cm", "1/cm"),
}

_N_WORST = 10  # kinds that the evidence lists


@dataclass(frozen=True)
class Judged:
    """One molecule compared, or not: judgement, the number that decided in words, metrics, and evidence."""

    judgement: str
    reason: str
    metrics: dict[str, float | None]
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """One kind of coordinate, the model's runs against the reference's.

    Attributes
    ----------
    family
        One of `FAMILIES`.
    kind
        Which coordinates; None for h(r), which has no kinds.
    distance
        Between model and reference: the mean over all pairs of a run of one and a run of the other.
    noise, model_noise
        The mean over pairs of two runs of the reference, and of the model.
    model_mean, reference_mean
        Mean value in `unit`; None where a mean says nothing.
    unit
        Å, ° or 1/cm.
    """

    family: str
    kind: Kind | None
    distance: float
    noise: float
    model_noise: float
    model_mean: float | None
    reference_mean: float | None
    unit: str

    @property
    def words(self) -> str:
        """Which coordinate, and its means."""
        if self.kind is None:
            return "all pairs of atoms"
        name = self.kind.words
        if self.model_mean is None or self.reference_mean is None:
            return name
        digits = {"Å": 3, "°": 1}.get(self.unit, 0)
        on = "at " if self.unit == "1/cm" else ""
        return f"{name}, {on}{self.model_mean:.{digits}f} against {self.reference_mean:.{digits}f} {self.unit}"


def over(value: float, of: float) -> float:
    """Return the ratio; 0 of nothing is 0, and anything else of nothing is infinite."""
    if of == 0.0:
        return 0.0 if value == 0.0 else float("inf") if value > 0.0 else float("nan")
    return value / of


@dataclass(frozen=True)
class _Finding:
    """A distance that was held against its noise; `model_ratio` counts the model's own noise as noise too.

    `placed` says that it names a place in the molecule, which h(r) does not.
    """

    words: str
    ratio: float
    model_ratio: float
    limit: float
    placed: bool

    @property
    def off(self) -> bool:
        return not self.ratio <= self.limit

    @property
    def settled(self) -> bool:
        """Whether it is off beyond what the model's own runs differ by."""
        return not self.model_ratio <= self.limit


def judge(compared: Sequence[Compared], settings: Settings, evidence: dict[str, Any]) -> Judged:
    """Judge a molecule by family, and by kind within each; `evidence` is kept and added to."""
    metrics: dict[str, float | None] = {}
    findings: list[_Finding] = []
    ranked: list[tuple[float, Compared]] = []
    for family, (_, name, unit, _) in FAMILIES.items():
        mine = [c for c in compared if c.family == family]
        distance, noise, model_noise = (
            float(np.mean([getattr(c, part) for c in mine])) if mine else None
            for part in ("distance", "noise", "model_noise")
        )
        ratio = None if distance is None or noise is None else over(distance, noise)
        metrics |= {f"{name}_{unit}": distance, f"{name}_noise_{unit}": noise, f"{family}_over_noise_ratio": ratio}
        if distance is None or noise is None or model_noise is None or ratio is None:
            continue
        by_kind = sorted(((over(c.distance, _worse(c.noise, noise)), c) for c in mine), key=lambda pair: _rank(pair[0]))
        findings.append(
            _Finding(
                f"{_amount(family, distance)}, {ratio:.1f} times the noise; most in {by_kind[0][1].words}",
                ratio,
                over(distance, _worse(noise, model_noise)),
                settings.max_ratio,
                family != "hr",
            )
        )
        # every kind: the worst may be no more than the model's own noise, and the next one is not
        findings += [_of_kind(c, at_kind, noise, settings) for at_kind, c in by_kind]
        ranked += by_kind
    unsampled = [
        c for c in compared if c.family in ("bond", "angle", "torsion") and not c.noise <= settings.max_noise_ratio
    ]
    ranked.sort(key=lambda pair: _rank(pair[0]))
    evidence = evidence | {
        "worst": [_told(ratio, c) for ratio, c in ranked[:_N_WORST]],
        "not_sampled": [c.words for c in unsampled],
    }
    lost = [c for c in compared if np.isnan([c.distance, c.noise, c.model_noise]).any()]
    if lost:
        judgement, reason = "failed", f"{FAMILIES[lost[0].family][0]}: a distance is not a number, of {lost[0].words}"
    else:
        judgement, reason = _word(findings, unsampled, settings)
    return Judged(judgement, reason, metrics, evidence)


def _of_kind(kind: Compared, ratio: float, family_noise: float, settings: Settings) -> _Finding:
    """Hold one kind against its noise, which counts as no less than its family's."""
    return _Finding(
        f"{_amount(kind.family, kind.distance)}, {ratio:.1f} times the noise, in {kind.words}",
        ratio,
        over(kind.distance, _worse(kind.noise, family_noise, kind.model_noise)),
        settings.max_kind_ratio,
        kind.family != "hr",
    )


def _word(findings: list[_Finding], unsampled: list[Compared], settings: Settings) -> tuple[str, str]:
    if not findings:
        return "failed", "there is nothing to compare in a single atom"
    findings = sorted(findings, key=lambda f: _rank(f.ratio / f.limit))
    wrong = [f for f in findings if f.off]
    settled = sorted((f for f in wrong if f.settled), key=lambda f: not f.placed)  # the worst that says where, first
    if settled:
        return "off", f"{settled[0].words} (limit {settled[0].limit:g})"
    if wrong:
        return "unsettled", f"{wrong[0].words}, but the model's own runs differ as much: make them longer"
    if unsampled:
        worst = max(unsampled, key=lambda c: c.noise)
        return "unsettled", (
            f"two reference runs differ by {worst.noise:.2f} of the spread (limit {settings.max_noise_ratio:g}) in "
            f"{worst.words}: make them longer"
        )
    return "within noise", f"at worst {findings[0].words} (limit {findings[0].limit:g})"


def _amount(family: str, distance: float) -> str:
    words, _, unit, of = FAMILIES[family]
    number = f"{distance:.0f}" if unit == "per_cm" else f"{distance:.3f}"
    return f"{words} off by {number}{' ' + of if of else ''}"


def _worse(*noises: float) -> float:
    """Return the largest; NaN if one is: one lucky kind is not held against less than its family's noise."""
    return float(np.max(noises))


def _rank(ratio: float) -> float:
    """Return what sorts the worst to the front, and a ratio that is no number before it."""
    return -np.inf if np.isnan(ratio) else -ratio


def _told(ratio: float, compared: Compared) -> dict[str, Any]:
    kind = compared.kind
    return {
        "what": FAMILIES[compared.family][0],
        "where": compared.words,
        "atoms": [] if kind is None else kind.members[0].tolist(),
        "bonds_from_group": None if kind is None else kind.bonds_from_group,
        "distance": compared.distance,
        "noise": compared.noise,
        "model_noise": compared.model_noise,
        "over_noise_ratio": ratio,
    }
