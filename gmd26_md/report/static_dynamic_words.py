"""Static beside dynamic in words: which cheap number predicts which trouble, and what none of them does."""

from __future__ import annotations

from typing import Any

from gmd26_md.report.static_dynamic import OVER, WITHIN_EACH

LEVEL = 0.05
"""A correlation is a finding when its adjusted p is no larger: of twenty such tables of noise one then shows any."""

_STATIC = ("static-errors", "force_mae_eV_per_A")
Row = dict[str, Any]


def sentences(found: dict[str, Any]) -> list[str]:
    """Return the answer: the surest finding or that there is none, then every level, then how to read it."""
    rows = found["correlations"]
    namesakes = found.get("namesakes", [])
    known = [r for r in rows if r["rho"] is not None]
    if not known:
        return [f"Which cheap number predicts trouble? Nothing could be correlated: {_why_none(rows)}.", *namesakes]
    said = [_answer(known)]
    levels = list(dict.fromkeys(r["level"] for r in rows))
    said += _static_force_error(known, levels)
    for level in sorted(levels, key=_level_order):
        said += _of_level([r for r in rows if r["level"] == level], level)
    said.append(
        f"{len(known)} correlations were tried together. Adjusted p: the chance that the strongest of them all is this "
        "strong when outcomes are dealt out anew over the molecules. Positive rho: the worse the number, the worse the "
        "outcome. Findings are those with an adjusted p up to 0.05."
    )
    n_worst = _worst(rows)
    if n_worst:
        said.append(f"{n_worst} values are no numbers, or lacking because the run failed; each ranks as the worst.")
    if found["n_given_twice"]:
        said.append(f"{found['n_given_twice']} records were given twice or with other settings; the first counts.")
    return [*said, *namesakes]


def _answer(known: list[Row]) -> str:
    tried = [r for r in known if not _free(r)]
    if not tried:
        return (
            "Which cheap number predicts trouble? None was measured on molecules that were run; give folders of "
            "static-errors, relaxation, conservation or scan of the same models too."
        )
    sure = [r for r in tried if r["p_adjusted"] <= LEVEL]
    if not sure:
        least = f"; the surest, {tried[0]['predictor']}, has an adjusted p of {tried[0]['p_adjusted']:.2f}"
        return (
            f"Which cheap number predicts trouble? None that can be told from luck: of {len(known)} correlations tried "
            "together none is stronger than the strongest of so many would be by chance in one case of twenty"
            f"{least}."
        )
    best = sure[0]
    free = _free_beside(known, best)
    doubt = " Being OOD alone says as much; ask again with --split ood." if _no_better(best, free) else ""
    return (
        f"Which cheap number predicts trouble? Surest is {best['predictor']}: {best['level']} it goes with "
        f"{best['outcome']} by {_numbers(best)}{_words(best, free)}.{doubt}"
    )


def _static_force_error(known: list[Row], levels: list[str]) -> list[str]:
    """Return how the static force MAE itself goes with each outcome, at the widest level within models."""
    level = WITHIN_EACH if WITHIN_EACH in levels else levels[0]
    mine = [r for r in known if r["level"] == level and (r["predictor_source"], r["predictor_metric"]) == _STATIC]
    if not mine:
        return []
    parts = [f"{r['outcome']} {r['rho']:+.2f} (adjusted p {r['p_adjusted']:.3f})" for r in mine]
    if all(r["p_adjusted"] > LEVEL for r in mine):
        return [f"The static force MAE says little, {level}: {', '.join(parts)}."]
    return [f"The static force MAE, {level}: {', '.join(parts)}."]


def _of_level(rows: list[Row], level: str) -> list[str]:
    """Return what predicts each outcome at a level, and a line on those that nothing predicts."""
    title = f"{level[0].upper()}{level[1:]}:"
    if all(r["rho"] is None for r in rows):
        return [f"{title} nothing can be told ({_why_none(rows)})."]
    said, nothing, untold = [], [], []
    for outcome in sorted({r["outcome"] for r in rows if r["n"] > 0}):
        best = next((r for r in rows if r["outcome"] == outcome and r["rho"] is not None and not _free(r)), None)
        if best is None:
            untold.append(outcome)
        elif best["p_adjusted"] <= LEVEL:
            said.append(f"- {outcome}: {best['predictor']}, {_numbers(best)}{_words(best, _free_beside(rows, best))}")
        else:
            nothing.append(outcome)
    if nothing:
        said.append(f"- nothing tried predicts: {', '.join(nothing)}")
    if untold:
        reason = _why_none([r for r in rows if r["outcome"] in untold])
        said.append(f"- not to be told ({reason}): {', '.join(untold)}")
    return [title, *said] if said else []


def _free(row: Row) -> bool:
    """Tell whether a predictor needs no model: the size of a molecule, or that it is OOD."""
    return bool(row["predictor_source"] == "molecule")


def _free_beside(rows: list[Row], best: Row) -> list[Row]:
    """Return how numbers that need no model go with the same outcome at the same level."""
    same = [r for r in rows if r["level"] == best["level"] and r["outcome"] == best["outcome"]]
    return [r for r in same if _free(r) and r["rho"] is not None]


def _no_better(best: Row, free: list[Row]) -> bool:
    return any(abs(r["rho"]) >= abs(best["rho"]) for r in free if r["predictor_metric"] == "unseen")


def _words(best: Row, free: list[Row]) -> str:
    parts = [
        f"{'no better than ' if abs(r['rho']) >= abs(best['rho']) else ''}{r['predictor']} alone {r['rho']:+.2f}"
        for r in free
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _numbers(row: Row) -> str:
    interval = "" if row["low"] is None else f" ({row['low']:+.2f} to {row['high']:+.2f})"
    models = f", {row['n_models']} models" if row["n_models"] > 1 else ""
    return f"rho {row['rho']:+.2f}{interval}, n {row['n']}{models}, adjusted p {row['p_adjusted']:.3f}"


def _why_none(rows: list[Row]) -> str:
    reasons = sorted({str(r["why"]) for r in rows if r["rho"] is None and not _free(r)})
    return "; ".join(reasons) or "no predictor and outcome of the same molecules"


def _level_order(level: str) -> tuple[int, str]:
    return {WITHIN_EACH: 0, OVER: 2}.get(level, 1), level


def _worst(rows: list[Row]) -> int:
    """Return how many values of all columns rank as the worst."""
    columns = {(r["predictor"], r["n_worst_predictor"]) for r in rows}
    columns |= {(r["outcome"], r["n_worst_outcome"]) for r in rows}
    return sum(n for _, n in columns)
