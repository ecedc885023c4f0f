"""The published findings, each held against our static errors: confirmed, not confirmed, or not tested.

Every finding is asked of each family for itself and then counted: it is confirmed where it holds in more than half of
the families that can speak, and a family for which the answer is within the noise (1.96 standard errors) does not
count as one in which it holds. Thresholds are ours where the public text gives none, and stand in the words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gmd26_md.errors import UserError
from gmd26_md.report.published import name_of
from gmd26_md.report.significance import all_of, at_least, less, mean_of
from gmd26_md.report.static_results import Measured, Value

Status = Literal["confirmed", "not confirmed", "not tested"]
_FORCES, _COSINE, _MAGNITUDE = "force_mae_eV_per_A", "force_cosine", "force_magnitude_mae_eV_per_A"
_TENFOLD = 10.0
_HELPS = 0.2  # a hint that takes away a fifth of the OOD error has helped
_FAILS = 2.0  # an OOD error of twice the ID error or more
_PUBLISHED_LEAST_COSINE = 0.94  # of the seven published models, out of distribution
_EXTRAPOLATING = ("fusion", "duplication", "combination")
_ON_FRAGMENT, _FAR_BONDS = "0", 2


@dataclass(frozen=True)
class Finding:
    """A published finding and what came of it here."""

    statement: str
    status: Status
    figure: str


Errors = dict[str, dict[str, list[Measured]]]
"""Models by task, then by family."""


def findings(models: Sequence[Measured]) -> list[Finding]:
    """Return every published finding with its status and our figure, whatever the tasks that were run.

    The reference itself, run as a model, has no error and no say. A model that was trained elsewhere, whatever its
    family, speaks where pre-trained models are asked for, and nowhere else.

    Raises
    ------
    UserError
        For models measured against several levels of theory: their errors do not compare.
    """
    asked = [m for m in models if m.family != m.level_of_theory]
    levels = sorted({m.level_of_theory for m in asked if m.level_of_theory})
    if len(levels) > 1:
        raise UserError(
            f"these models were measured against {' and '.join(levels)}, whose errors do not compare; give those of "
            "one level, or leave the findings out (--no-findings)."
        )
    ours: Errors = {}
    everyone: Errors = {}
    for one in asked:
        everyone.setdefault(one.task, {}).setdefault(one.family, []).append(one)
        if not _is_foreign(one):
            ours.setdefault(one.task, {}).setdefault(one.family, []).append(one)
    return [Finding(statement, *test(everyone if test is _pretrained else ours)) for statement, test in _FINDINGS]


def _growth(tasks: Errors) -> tuple[Status, str]:
    answers = [at_least(_ratio(group, _FORCES), _TENFOLD) for _, _, group in _each(tasks)]
    ratios = [_ratio(group, _FORCES).value for _, _, group in _each(tasks)]
    return _counted(answers, "force MAE OOD/ID", _range(ratios))


def _chain_extension(tasks: Errors) -> tuple[Status, str]:
    answers, words = [], []
    for family, group in tasks.get("chain-extension", {}).items():
        easy = _ratio(group, _FORCES)
        others = {t: _ratio(tasks[t][family], _FORCES) for t in _EXTRAPOLATING if family in tasks.get(t, {})}
        if not others:
            continue
        answers.append(all_of([less(easy, other) for other in others.values()]))
        words.append(f"{name_of(family)} {_number(easy)}; " + ", ".join(f"{t} {_number(v)}" for t, v in others.items()))
    missing = "needs a family trained on chain-extension and on fusion, duplication or combination"
    return _counted(answers, "OOD/ID of chain-extension against the others", " | ".join(words), missing=missing)


def _directions(tasks: Errors) -> tuple[Status, str]:
    answers, cosines, growth = [], [], []
    for _, _, group in _each(tasks):
        cosine, ratio = mean_of([m.errors[_COSINE][1] for m in group if _COSINE in m.errors]), _ratio(group, _MAGNITUDE)
        answers.append(all_of([at_least(cosine, _PUBLISHED_LEAST_COSINE), at_least(ratio, _FAILS)]))
        cosines.append(cosine.value)
        growth.append(ratio.value)
    words = f"cosine OOD {_range(cosines, 3)} (0.94 or more asked), magnitude MAE OOD/ID {_range(growth)} (2 or more)"
    return _counted(answers, words, "")


def _on_the_fragment(tasks: Errors) -> tuple[Status, str]:
    """Compare how errors grow on the functional groups with how they grow from two bonds away."""
    answers, words = [], []
    for task, family, group in _each(tasks):
        pairs = [pair for pair in map(_near_and_far, group) if pair is not None]
        if pairs:
            near, far = mean_of([pair[0] for pair in pairs]), mean_of([pair[1] for pair in pairs])
            answers.append(less(far, near))
            words.append(f"{name_of(family)} on {task} {_number(near)} against {_number(far)}")
    missing = "needs static errors by bonds from the functional groups; run static-errors with this version"
    figure = "force MAE OOD/ID on the groups and from two bonds away: " + " | ".join(words)
    return _counted(answers, figure, "", missing=missing)


def _near_and_far(model: Measured) -> tuple[Value, Value] | None:
    """Return OOD over ID of the force MAE on the functional groups, and its mean from two bonds away."""
    known, unseen = (_by_bonds(model, split) for split in ("id", "ood"))
    growth = {key: unseen[key].over(known[key]) for key in unseen if key in known}
    far = [ratio for key, ratio in growth.items() if (n := _n_bonds(key)) is not None and n >= _FAR_BONDS]
    return (growth[_ON_FRAGMENT], mean_of(far)) if _ON_FRAGMENT in growth and far else None


def _n_bonds(key: str) -> int | None:
    """Return the bonds of a class, "3" or "6 or more"; None for atoms of a molecule without a group."""
    first = key.partition(" or more")[0]
    return int(first) if first.isdigit() else None


def _by_bonds(model: Measured, split: str) -> dict[str, Value]:
    rows = model.breakdown.get(split, {}).get("bonds", [])
    return {str(r["key"]): Value(float(r[_FORCES]["value"]), float(r[_FORCES]["standard_error"])) for r in rows}


def _fission(tasks: Errors) -> tuple[Status, str]:
    answers, words = [], []
    for family in sorted(set(tasks.get("fission", {})) & set(tasks.get("fusion", {}))):
        back, forth = (_ratio(tasks[t][family], _FORCES) for t in ("fission", "fusion"))
        answers.append(all_of([at_least(back, _FAILS), at_least(forth, _FAILS)]))
        words.append(f"{name_of(family)} {_number(back)} and {_number(forth)}")
    missing = "needs a family's models of duplication run on fission, and the family trained on fusion"
    return _counted(
        answers, "OOD/ID of fission and fusion, 2 or more asked of both", " | ".join(words), missing=missing
    )


def _hint(task: str, helps: bool) -> Callable[[Errors], tuple[Status, str]]:
    def test(tasks: Errors) -> tuple[Status, str]:
        answers, words = [], []
        for family in sorted(set(tasks.get(task, {})) & set(tasks.get(f"{task}-hinted", {}))):
            plain, hinted = (_ood(tasks[t][family]) for t in (task, f"{task}-hinted"))
            answers.append(less(hinted, plain) if helps else _unhelped(hinted, plain))
            words.append(f"{name_of(family)} {_fine(plain)} to {_fine(hinted)}")
        missing = f"needs a family trained on {task} and on {task}-hinted"
        asked = "a fall" if helps else f"no fall of {_HELPS:.0%} or more"
        what = f"OOD force MAE, eV/Å, without and with the hint, {asked} asked"
        return _counted(answers, what, " | ".join(words), missing=missing)

    return test


def _pretrained(tasks: Errors) -> tuple[Status, str]:
    answers, words = [], []
    for task, families in tasks.items():
        small = [m for m in families.get("mace", []) if not _is_foreign(m)]
        large = [m for group in families.values() for m in group if _is_foreign(m)]
        if not (small and large):
            continue
        ours = _ood(small)
        answers += [less(ours, _ood([m])) for m in large]
        words += [f"{m.model} {_fine(_ood([m]))} against MACE {_fine(ours)} on {task}" for m in large]
    missing = "needs a pre-trained model's static errors, and MACE trained on the same task"
    return _counted(answers, "OOD force MAE, eV/Å", " | ".join(words), missing=missing, of="pre-trained models")


def _is_foreign(model: Measured) -> bool:
    """Tell whether a model was trained elsewhere: its file says nothing of a training of ours. No committee does."""
    return not model.training and not model.is_committee


def _deepset_moe(tasks: Errors) -> tuple[Status, str]:
    answers, words = [], []
    for task, families in tasks.items():
        others = [_ratio(group, _FORCES) for name, group in families.items() if name != "deepset-moe"]
        if "deepset-moe" not in families or not others:
            continue
        own = _ratio(families["deepset-moe"], _FORCES)
        ordered = sorted(others, key=lambda v: v.value)
        median = mean_of(ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1])
        answers.append(less(own, median))
        words.append(f"{task} {_number(own)} against {_number(median)}")
    missing = "needs DeepSet-MoE and another family on one task"
    figure = "its OOD/ID against the median of the others: " + " | ".join(words)
    return _counted(answers, figure, "", missing=missing, of="tasks")


_FINDINGS: tuple[tuple[str, Callable[[Errors], tuple[Status, str]]], ...] = (
    ("errors grow ten- to a thousandfold out of distribution", _growth),
    ("chain extension is comparatively easy", _chain_extension),
    ("force directions survive, the magnitudes fail", _directions),
    ("errors sit on the atoms of the new fragment", _on_the_fragment),
    ("fission fails as fusion does", _fission),
    ("coverage hints fix chain extension", _hint("chain-extension", helps=True)),
    ("coverage hints do nothing for fusion", _hint("fusion", helps=False)),
    ("large pre-trained models do not beat a small MACE trained on the task", _pretrained),
    ("DeepSet-MoE stays close to its ID level out of distribution", _deepset_moe),
)


def _each(tasks: Errors) -> list[tuple[str, str, list[Measured]]]:
    return [(task, family, group) for task, families in tasks.items() for family, group in families.items()]


def _ratio(group: Sequence[Measured], metric: str) -> Value:
    return mean_of([m.ratio(metric) for m in group])


def _ood(group: Sequence[Measured]) -> Value:
    return mean_of([m.errors[_FORCES][1] for m in group if _FORCES in m.errors])


def _unhelped(hinted: Value, plain: Value) -> bool | None:
    """Tell whether the hint did not help: the error is no lower, or lower by less than `_HELPS` of it for certain.

    None where it may have fallen by more and may not: noise confirms nothing. Both errors are of the same molecules, so
    the noise is not as large as it is taken here.
    """
    return at_least(
        Value(
            hinted.value - (1.0 - _HELPS) * plain.value,
            math.hypot(hinted.standard_error, (1.0 - _HELPS) * plain.standard_error),
        ),
        0.0,
    )


def _counted(
    answers: Sequence[bool | None], what: str, figures: str, *, missing: str = "", of: str = "families and tasks"
) -> tuple[Status, str]:
    if not answers:
        return "not tested", missing or "needs static errors, ID and OOD"
    holds, open_ = sum(answer is True for answer in answers), sum(answer is None for answer in answers)
    counts = f"holds in {holds} of {len(answers)} {of}" + (f", {open_} within the noise" if open_ else "")
    words = "; ".join(part for part in (counts, f"{what}: {figures}" if figures else what) if part)
    return ("confirmed" if 2 * holds > len(answers) else "not confirmed"), words


def _range(values: Sequence[float], digits: int = 1) -> str:
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return "not finite"
    low, high = min(finite), max(finite)
    return f"{low:.{digits}f}" if len(finite) == 1 else f"{low:.{digits}f} to {high:.{digits}f}"


def _number(found: Value) -> str:
    return f"{found.value:.1f} ± {found.standard_error:.1f}"


def _fine(found: Value) -> str:
    return f"{found.value:.4f} ± {found.standard_error:.4f}"
