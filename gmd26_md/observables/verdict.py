"""The verdict of a run: nine outcomes, the number that decided, and no way for missing evidence to pass.

Every check asks for `value <= limit` to be *true*: NaN fails of itself, and evidence that is None never passes.

The order, first match decides:

1. `unsupported`: the model does not know an element. 2. `error`: something else than the physics failed, or a
complete run lacks evidence that any run can give. 3. `exploded`: a number that is not finite, or too hot. 4. `broken`:
a bond broke or two atoms clashed. 5. `reacted`: lasting new bonds, a proton transfer, an inverted centre or double
bond, or another graph at the end.
6. `drifting`: the model's own energy is not conserved. 7. `silent`: alive and conserved, but not true by the reference.
8. `censored`: alive, but cut short by a time limit; or complete, alive and conserved, but never compared with a
reference, so that neither `faithful` nor `silent` can be said. 9. `faithful`.

A failure before the cut stays a failure; a run cut short that did not fail is censored, never failed, also where it
was too short to measure its drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gmd26_md.observables.topology import Event, Limits, TopologyReport

ENERGY_RMS_RELATIVE_MAX = 0.5
"""RMS of the total energy about its line, of the spread of the kinetic energy. Energy that is conserved goes from one
kind into the other: velocity Verlet at 0.5 fs leaves 0.05. An energy that has nothing to do with the forces (always the
same, or in a larger unit) leaves 1, and at 300 K that is less than 5 meV/atom in a molecule of 20 atoms."""


@dataclass(frozen=True)
class Thresholds:
    """The limits that a verdict rests on; each stands in the record.

    Attributes
    ----------
    temperature_max_ratio
        Exploded above this times the target temperature: 5, more than ten standard deviations of the kinetic
        temperature of a molecule of eight atoms, sqrt(2 / 18) of the target each.
    temperature_floor_K
        But never exploded under this: 1000 K, so that a cold run that starts a little off its minimum may warm up.
    drift_max_meV_per_atom_per_ps
        5: heats a molecule by some 19 K a picosecond (3 N k_B dT for a classical harmonic molecule); velocity Verlet
        on a smooth surface at 0.5 fs stays under a tenth of it.
    energy_rms_max_meV_per_atom
        5, about the line: ten times what velocity Verlet at 0.5 fs shows on C-H stretches at 500 K. More is a rough
        surface, or a drift that reverses and so hides from the slope.
    energy_change_max_meV_per_atom
        20 since the start, 77 K of heating: holds long runs whose slope is small, and single jumps.
    force_ratio_max
        Silent when the force MAE along the model's own run is more than 0.2 of the mean absolute reference component:
        a fifth in a force constant is a tenth in a frequency, and torsions follow forces ten times smaller still.
    true_energy_change_max_meV_per_atom
        Silent when |dE_true| exceeds 10: 39 K of heating that the model does not know of, and in a molecule of 17 atoms
        0.17 eV, the height of a torsional barrier of butane.
    topology
        Limits of bonds, clashes and lasting contacts.
    """

    temperature_max_ratio: float = 5.0
    temperature_floor_K: float = 1000.0
    drift_max_meV_per_atom_per_ps: float = 5.0
    energy_rms_max_meV_per_atom: float = 5.0
    energy_change_max_meV_per_atom: float = 20.0
    force_ratio_max: float = 0.2
    true_energy_change_max_meV_per_atom: float = 10.0
    topology: Limits = field(default_factory=Limits)

    def temperature_limit_K(self, target_temperature_K: float, n_dof: int | None = None) -> float:
        """Return the kinetic temperature above which a run has exploded, K.

        Of a molecule with few degrees of freedom the temperature swings widely: it is allowed six standard deviations,
        sqrt(2 / n_dof) of the target each, where that is more.
        """
        swing = 0.0 if n_dof is None else 1.0 + 6.0 * (2.0 / max(n_dof, 1)) ** 0.5
        return max(max(self.temperature_max_ratio, swing) * target_temperature_K, self.temperature_floor_K)


@dataclass(frozen=True)
class Failure:
    """The first frame with numbers that are not finite: which arrays, and when."""

    what: str
    at_ps: float


@dataclass(frozen=True)
class Evidence:
    """All that a verdict is drawn from. None: not measured; it never passes.

    Attributes
    ----------
    unsupported, error
        Why the run could not be made; None where it could.
    asked_ps, reached_ps
        Length of the run as ordered and as far as it came.
    cut
        Whether a time limit (not a failure) stopped it.
    finite
        Whether every energy, force, position and velocity of every frame is finite.
    nonfinite
        The first that is not, None where there is none.
    target_temperature_K, temperature_max_K
        Temperature the run was started for, and the highest kinetic temperature it had.
    n_dof
        Degrees of freedom of the temperature at constant energy.
    too_hot_at_ps
        When the temperature first passed its limit in a frame, or was highest between frames; None where it did not.
    topology
        What happened to the bonds.
    energy_drift_meV_per_atom_per_ps, energy_rms_meV_per_atom, energy_change_max_meV_per_atom, energy_rms_relative_ratio
        Conservation of the model's own energy.
    force_ratio
        Force MAE against the reference along the run over the mean absolute reference component.
    true_energy_change_max_meV_per_atom
        Largest |dE_true|.
    n_reference_labels
        Frames of the run that carry reference labels; 0: truth was not examined.
    constant_energy
        Whether the run was at constant energy. Under a thermostat neither the model's energy nor the true one is
        conserved, and both are left unasked.
    """

    unsupported: str | None = None
    error: str | None = None
    asked_ps: float | None = None
    reached_ps: float | None = None
    cut: bool = False
    finite: bool | None = None
    nonfinite: Failure | None = None
    target_temperature_K: float | None = None
    temperature_max_K: float | None = None
    n_dof: int | None = None
    too_hot_at_ps: float | None = None
    topology: TopologyReport | None = None
    energy_drift_meV_per_atom_per_ps: float | None = None
    energy_rms_meV_per_atom: float | None = None
    energy_change_max_meV_per_atom: float | None = None
    energy_rms_relative_ratio: float | None = None
    force_ratio: float | None = None
    true_energy_change_max_meV_per_atom: float | None = None
    n_reference_labels: int = 0
    constant_energy: bool = True

    @property
    def complete(self) -> bool:
        """Whether the run came as far as was asked (to 1e-6 of it, for rounding of times)."""
        asked, reached = self.asked_ps, self.reached_ps
        return asked is not None and reached is not None and reached >= asked * (1.0 - 1e-6)


@dataclass(frozen=True)
class Verdict:
    """One of `records.VERDICTS`, why, and the number that decided (None where no number did)."""

    name: str
    reason: str
    decided_by: str
    value: float | None = None
    limit: float | None = None
    at_ps: float | None = None


def judge(evidence: Evidence, thresholds: Thresholds | None = None) -> Verdict:
    """Return the verdict of a run; the module's text says in which order."""
    limits = thresholds or Thresholds()
    verdict = _not_run(evidence) or _exploded(evidence, limits) or _broken(evidence) or _reacted(evidence)
    if verdict is not None:
        return verdict
    drifting = _over(evidence, "drifting", _conservation(evidence, limits))
    if drifting is not None:
        return drifting
    silent = _over(evidence, "silent", _truth(evidence, limits)) if evidence.n_reference_labels > 0 else None
    return silent or _censored(evidence) or _faithful(evidence, limits)


def _not_run(evidence: Evidence) -> Verdict | None:
    """Return unsupported or error, where the run was not made or what every run can show is missing."""
    if evidence.unsupported is not None:
        return Verdict("unsupported", evidence.unsupported, "unsupported")
    if evidence.error is not None:
        return Verdict("error", evidence.error, "error")
    needed = {
        "asked_ps": evidence.asked_ps,
        "reached_ps": evidence.reached_ps,
        "finite": evidence.finite,
        "target_temperature_K": evidence.target_temperature_K,
        "temperature_max_K": evidence.temperature_max_K,
        "topology": evidence.topology,
    }
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        return Verdict("error", f"evidence missing: {', '.join(missing)}", missing[0])
    return None


def _exploded(evidence: Evidence, limits: Thresholds) -> Verdict | None:
    """Return exploded for a number that is not finite, or a temperature beyond its limit."""
    if not evidence.finite:
        first = evidence.nonfinite or Failure("some number", float("nan"))
        reason = f"{first.what} not finite at {first.at_ps:.3f} ps"
        return Verdict("exploded", reason, "nonfinite", float("nan"), None, first.at_ps)
    hottest, target = evidence.temperature_max_K, evidence.target_temperature_K
    if hottest is None or target is None:
        return None  # `_not_run` has taken it
    limit = limits.temperature_limit_K(target, evidence.n_dof)
    if hottest <= limit:
        return None
    reason = f"temperature up to {hottest:.0f} K, limit {limit:.0f} K"
    return Verdict("exploded", reason, "temperature_max_K", hottest, limit, evidence.too_hot_at_ps)


def _broken(evidence: Evidence) -> Verdict | None:
    """Return broken for the earliest broken bond, clash, or position that is no number."""
    report = evidence.topology
    if report is None:
        return None
    named = {
        "bond_broken": ("bond changed by {:.2f} Å", report.bond_broken),
        "bond_broken_by_radii": ("bond stretched to {:.2f} Å", report.bond_broken_by_radii),
        "clash": ("atoms as close as {:.2f} Å", report.clash),
        "nonfinite": ("position {}", report.nonfinite),
    }
    return _earliest("broken", named)


_INSIDE_OUT = "centre of four bonds turned inside out, handedness {:.2f}"
_TURNED_OVER = "double bond turned over, cosine of its torsion {:.2f} where the start's counts as positive,"


def _reacted(evidence: Evidence) -> Verdict | None:
    """Return reacted for the earliest proton transfer, lasting new bond or inversion, or another graph at the end."""
    report = evidence.topology
    if report is None:
        return None
    of_a_centre = report.inversion is None or len(report.inversion.atoms) == 1
    named = {
        "transfer": ("proton transfer, new bond {:.2f} Å", report.transfer),
        "new_bond": ("lasting new bond of {:.2f} Å", report.new_bond),
        "inversion": (_INSIDE_OUT if of_a_centre else _TURNED_OVER, report.inversion),
    }
    verdict = _earliest("reacted", named)
    if verdict is None and report.graph_changed:
        reason = f"bonds at the end: lost {_listed(report.lost)}, gained {_listed(report.gained)}"
        return Verdict("reacted", reason, "end_graph", float(len(report.lost) + len(report.gained)), 0.0)
    return verdict


def _listed(pairs: tuple[tuple[int, int], ...]) -> str:
    """Return pairs of atoms as text."""
    return ", ".join(f"{i}-{j}" for i, j in pairs) or "none"


def _earliest(name: str, named: dict[str, tuple[str, Event | None]]) -> Verdict | None:
    """Return the verdict of the earliest event, None where nothing happened."""
    happened = [(event.at_ps, check, text, event) for check, (text, event) in named.items() if event is not None]
    if not happened:
        return None
    _, check, text, event = min(happened, key=lambda item: item[0])
    who = "atom" if len(event.atoms) == 1 else "atoms"
    reason = f"{text.format(event.value)} at {event.at_ps:.3f} ps, {who} {'-'.join(map(str, event.atoms))}"
    return Verdict(name, reason, check, event.value, event.limit, event.at_ps)


Checks = Iterator[tuple[str, float | None, float, str]]


def _conservation(evidence: Evidence, limits: Thresholds) -> Checks:
    """Yield name, value, limit and unit of the checks of the model's own energy; none under a thermostat."""
    if not evidence.constant_energy:
        return
    drift = evidence.energy_drift_meV_per_atom_per_ps
    yield "energy_drift", drift, limits.drift_max_meV_per_atom_per_ps, "meV/atom/ps"
    yield "energy_rms", evidence.energy_rms_meV_per_atom, limits.energy_rms_max_meV_per_atom, "meV/atom"
    yield (
        "energy_change_max",
        evidence.energy_change_max_meV_per_atom,
        limits.energy_change_max_meV_per_atom,
        "meV/atom",
    )
    exchanged = evidence.energy_rms_relative_ratio
    yield "energy_rms_relative", exchanged, ENERGY_RMS_RELATIVE_MAX, "of the spread of the kinetic energy"


def _truth(evidence: Evidence, limits: Thresholds) -> Checks:
    """Yield name, value, limit and unit of the checks against the reference; only forces under a thermostat."""
    yield "force_ratio", evidence.force_ratio, limits.force_ratio_max, "of the mean reference force component"
    if not evidence.constant_energy:
        return
    change = evidence.true_energy_change_max_meV_per_atom
    yield "true_energy_change_max", change, limits.true_energy_change_max_meV_per_atom, "meV/atom"


def _over(evidence: Evidence, name: str, checks: Checks) -> Verdict | None:
    """Return the verdict `name` for the first check that does not hold.

    A number that is missing (None, or NaN for want of frames) fails a complete run; in a run cut short it shows nothing
    against the run, which `_censored` then takes.
    """
    for check, value, limit, unit in checks:
        if value is not None and abs(value) <= limit:
            continue
        unknown = value is None or value != value
        if unknown and evidence.cut and not evidence.complete:
            continue
        if value is None:
            return Verdict("error", f"evidence missing: {check}", check, None, limit)
        return Verdict(name, f"{check} {value:.3g} {unit}, limit {limit:.3g}", check, value, limit)
    return None


def _censored(evidence: Evidence) -> Verdict | None:
    """Return censored for a run cut short, error for one that ended early without saying why."""
    asked, reached = evidence.asked_ps, evidence.reached_ps
    if not evidence.complete:
        text = f"alive at {reached} of {asked} ps"
        if evidence.cut:
            return Verdict("censored", f"{text}, cut by the time limit", "reached_ps", reached, asked, reached)
        return Verdict("error", f"{text}, and ended without a reason", "reached_ps", reached, asked, reached)
    if evidence.n_reference_labels <= 0:
        return Verdict("censored", "no reference labels: truth not examined", "n_reference_labels", 0.0, None, reached)
    return None


def _faithful(evidence: Evidence, limits: Thresholds) -> Verdict:
    """Return faithful, with the force error that allowed it."""
    kept = "conserved, " if evidence.constant_energy else ""
    reason = f"alive to {evidence.reached_ps} ps, {kept}forces within {evidence.force_ratio:.3g} of the reference"
    return Verdict("faithful", reason, "force_ratio", evidence.force_ratio, limits.force_ratio_max)
