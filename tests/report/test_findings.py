"""Each published finding on made-up errors for which the answer is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gmd26_md.errors import UserError
from gmd26_md.report.findings import Finding, findings
from gmd26_md.report.findings_table import findings_written
from gmd26_md.report.static_results import Value, measured
from tests.report.static_summaries import summary


def of(word: str, *summaries: dict[str, Any]) -> Finding:
    (found,) = [f for f in findings(measured(summaries)) if word in f.statement]
    return found


def test_without_any_model_nothing_is_tested() -> None:
    assert {f.status for f in findings([])} == {"not tested"}


def test_growth_is_confirmed_tenfold_and_not_below() -> None:
    assert of("thousandfold", summary("fusion", "mace", (0.01, 0.2))).status == "confirmed"
    found = of("thousandfold", summary("fusion", "mace", (0.01, 0.05)))
    assert found.status == "not confirmed"
    assert "5.0" in found.figure


def test_a_ratio_within_the_noise_of_the_limit_does_not_confirm() -> None:
    # 10.5 times, known to 14 %: 1.96 standard errors reach below ten
    found = of("thousandfold", summary("fusion", "mace", (0.01, 0.105), error=0.1))
    assert found.status == "not confirmed"
    assert "1 within the noise" in found.figure


def test_a_number_that_is_not_finite_confirms_nothing() -> None:
    nan = summary("fusion", "mace", (0.01, math.nan))
    hinted = summary("fusion-hinted", "mace", (0.01, math.nan))
    assert {f.status for f in findings(measured([nan, hinted]))} <= {"not confirmed", "not tested"}


def test_chain_extension_is_easy_only_beside_a_task_that_is_harder() -> None:
    easy, hard = summary("chain-extension", "mace", (0.01, 0.02)), summary("fusion", "mace", (0.01, 0.2))
    assert of("chain extension is", easy).status == "not tested"
    assert of("chain extension is", easy, hard).status == "confirmed"
    # one harder and one as easy: it is not easier than all of them
    assert of("chain extension is", easy, hard, summary("duplication", "mace", (0.01, 0.015))).status == "not confirmed"
    # another family's fusion says nothing of this one
    assert of("chain extension is", easy, summary("fusion", "painn", (0.01, 0.2))).status == "not tested"


def test_directions_survive_needs_both_halves() -> None:
    good = summary("fusion", "mace", (0.01, 0.1), cosine=(0.9999, 0.98), magnitude=(0.01, 0.1))
    assert of("directions", good).status == "confirmed"
    turned = summary("fusion", "mace", (0.01, 0.1), cosine=(0.9999, 0.5), magnitude=(0.01, 0.1))
    assert of("directions", turned).status == "not confirmed"
    sized = summary("fusion", "mace", (0.01, 0.1), cosine=(0.9999, 0.98), magnitude=(0.01, 0.011))
    assert of("directions", sized).status == "not confirmed"


@pytest.mark.parametrize(("near", "far", "status"), [(3.0, 1.1, "confirmed"), (1.1, 3.0, "not confirmed")])
def test_growth_on_the_fragment_is_compared_with_growth_elsewhere(near: float, far: float, status: str) -> None:
    # errors are larger on the groups in distribution too: only what they grow by counts
    sizes = {
        "id": {"0": 0.2, "1": 0.1, "6 or more": 0.1},
        "ood": {"0": 0.2 * near, "1": 0.1 * near, "6 or more": 0.1 * far},
    }
    by_bonds = {
        split: {
            "bonds": [
                {"key": key, "force_mae_eV_per_A": {"value": value, "standard_error": 0.001}}
                for key, value in rows.items()
            ]
        }
        for split, rows in sizes.items()
    }
    assert of("new fragment", summary("fusion", "mace", (0.1, 0.2), breakdown=by_bonds)).status == status


def test_fission_needs_the_models_of_both_tasks() -> None:
    back, forth = summary("fission", "mace", (0.01, 0.1)), summary("fusion", "mace", (0.01, 0.1))
    assert of("fission", back).status == "not tested"
    assert of("fission", back, forth).status == "confirmed"
    assert of("fission", summary("fission", "mace", (0.01, 0.012)), forth).status == "not confirmed"


def test_hints_fix_where_the_error_falls_and_do_nothing_where_it_does_not() -> None:
    plain, better = (
        summary("chain-extension", "mace", (0.01, 0.1)),
        summary("chain-extension-hinted", "mace", (0.01, 0.02)),
    )
    assert of("fix chain", plain, better).status == "confirmed"
    fusion, same = summary("fusion", "mace", (0.01, 0.1)), summary("fusion-hinted", "mace", (0.01, 0.1))
    assert of("nothing for fusion", fusion, same).status == "confirmed"
    assert of("nothing for fusion", fusion, summary("fusion-hinted", "mace", (0.01, 0.02))).status == "not confirmed"


def test_a_hint_that_may_have_helped_is_within_the_noise() -> None:
    fusion = summary("fusion", "mace", (0.01, 0.1), error=0.5)
    found = of("nothing for fusion", fusion, summary("fusion-hinted", "mace", (0.01, 0.01), error=0.5))
    assert found.status == "not confirmed"
    assert "1 within the noise" in found.figure


def test_a_vendors_model_of_a_family_of_ours_is_pretrained_and_counts_for_nothing_else() -> None:
    mace = summary("fusion", "mace", (0.01, 0.2))
    off = summary("fusion", "mace", (0.08, 0.08), model="MACE-OFF23_small", training={})
    assert of("pre-trained", mace, off).status == "not confirmed"
    assert "20.0" in of("thousandfold", mace, off).figure
    seeds = summary("fusion", "mace", (0.01, 0.1), model="a+b", training={})
    assert of("pre-trained", mace, seeds).status == "not tested"


def test_models_of_two_levels_of_theory_are_not_compared() -> None:
    other = summary("fusion-hinted", "mace", (0.01, 0.1)) | {"level_of_theory": "pbe-d3bj/def2-svp"}
    with pytest.raises(UserError, match=r"gfn2-xtb and pbe-d3bj/def2-svp.*--no-findings"):
        findings(measured([summary("fusion", "mace", (0.01, 0.1)), other]))


def test_of_two_summaries_of_one_model_the_one_with_more_frames_counts_and_the_one_with_a_breakdown() -> None:
    def with_frames(n: int, breakdown: dict[str, Any] | None = None) -> dict[str, Any]:
        made = summary("fusion", "mace", (0.01, 0.1 / n), breakdown=breakdown)
        for split in made["splits"].values():
            for spread in split["static_errors"].values():
                spread |= {"n_values": n, "n_molecules": 12}
        return made

    (found,) = measured([with_frames(20), with_frames(400), with_frames(20)])
    assert found.errors["force_mae_eV_per_A"][1].value == 0.1 / 400
    assert found.n_molecules == (12, 12)
    parts = {"id": {"bonds": []}, "ood": {"bonds": []}}
    assert measured([with_frames(20), with_frames(20, parts)])[0].breakdown == parts


def test_pretrained_models_are_those_without_a_training_of_ours() -> None:
    mace = summary("fusion", "mace", (0.01, 0.05))
    large = summary("fusion", "mace_off:medium", (0.08, 0.08), training={})
    assert of("pre-trained", mace).status == "not tested"
    assert of("pre-trained", mace, large).status == "confirmed"


def test_the_reference_and_a_committee_of_ours_are_no_pretrained_models() -> None:
    mace = summary("fusion", "mace", (0.01, 0.05))
    reference = summary("fusion", "gfn2-xtb", (0.0, 0.0), training={})  # its level of theory is its own name
    committee = summary("fusion", "mace+painn", (0.01, 0.04), training={})
    assert of("pre-trained", mace, reference, committee).status == "not tested"
    assert "of 1 families" in of("thousandfold", mace, reference).figure


def test_the_median_of_an_even_number_of_others_is_between_the_two_in_the_middle() -> None:
    others = [summary("fusion", name, (0.01, ood)) for name, ood in (("mace", 0.02), ("painn", 0.06))]
    assert "against 4.0" in of("DeepSet", *others, summary("fusion", "deepset-moe", (0.01, 0.03))).figure


def test_deepset_moe_is_held_against_the_median_of_the_others() -> None:
    others = [summary("fusion", name, (0.01, 0.1)) for name in ("mace", "painn", "schnet")]
    assert of("DeepSet", *others, summary("fusion", "deepset-moe", (0.05, 0.06))).status == "confirmed"
    assert of("DeepSet", *others, summary("fusion", "deepset-moe", (0.01, 0.3))).status == "not confirmed"


def test_seeds_of_a_family_are_one_answer_with_their_scatter() -> None:
    seeds = [summary("fusion", "mace", (0.01, ood), model=f"seed{ood}") for ood in (0.05, 0.5)]
    found = of("thousandfold", *seeds)
    assert "of 1 families" in found.figure
    assert "1 within the noise" in found.figure  # 27.5 on the mean, but one is 5 and the other 50


def test_a_ratio_carries_both_relative_errors() -> None:
    ratio = Value(6.0, 0.3).over(Value(2.0, 0.24))
    assert ratio.value == pytest.approx(3.0)
    assert ratio.standard_error == pytest.approx(3.0 * math.hypot(0.05, 0.12))
    assert math.isnan(Value(1.0, 0.1).over(Value(0.0, 0.1)).value)


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv"])
def test_every_form_holds_every_finding(form: str) -> None:
    found = findings(measured([summary("fusion", "mace", (0.01, 0.2))]))
    text = findings_written(found, form)
    assert text.count("not tested") == sum(f.status == "not tested" for f in found)
    assert all(f.statement in text for f in found)
    assert all(len(line) <= 110 for line in text.splitlines() if form == "text")
