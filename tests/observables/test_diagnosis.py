"""The diagnosis: one fault planted at a time, in numbers that are fine otherwise."""

from dataclasses import fields, replace

import numpy as np
import pytest

from gmd26_md.observables.diagnosis import Findings, Kept, Limits, diagnose
from gmd26_md.observables.gradient import TwoSteps

LIMITS = Limits()
FINE = Findings(
    half=Kept(0.25, 0.001, 0.01),
    whole=Kept(0.5, 0.004, 0.04),
    double=Kept(1.0, 0.016, 0.16),
    stopped={},
    order_fine=2.0,
    order_coarse=2.0,
    gradient=TwoSteps(1e-9, 1e-6, 16e-6),
    curl=TwoSteps(1e-10, 1e-6, 16e-6),
    reversal_A=1e-13,
    momentum=1e-14,
    angular_momentum=1e-14,
    equipartition_chance=0.5,
)


def word(**changed):
    return diagnose(replace(FINE, **changed), LIMITS)[0]


def flat(rms, drift=0.004, order=0.1):
    """Return runs whose error is the same at every step."""
    return {
        "half": Kept(0.25, drift, rms),
        "whole": Kept(0.5, drift, rms * 1.07),
        "double": Kept(1.0, drift, rms * 1.15),
        "order_fine": order,
        "order_coarse": order,
    }


def test_nothing_wrong_conserves_and_says_how_well():
    judgement, reason = diagnose(FINE, LIMITS)
    assert judgement == "conserves"
    assert "drift 0.004 meV/atom/ps" in reason
    assert "order 2.00 and 2.00" in reason


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_error_that_falls_as_it_should_but_is_too_large_is_the_step(sign):
    large = {"half": Kept(0.25, sign * 1.0, 2.0), "whole": Kept(0.5, sign * 3.0, 8.0), "double": Kept(1.0, 9.0, 32.0)}
    judgement, reason = diagnose(replace(FINE, **large), LIMITS)
    assert judgement == "step too long"
    assert "0.25 fs is short enough" in reason
    drifting = {"half": Kept(0.25, sign * 2.0, 0.2), "whole": Kept(0.5, sign * 8.0, 0.8), "double": Kept(1.0, 30, 3.2)}
    assert word(**drifting) == "step too long"
    worse = {"half": Kept(0.25, 1.0, 20.0), "whole": Kept(0.5, 3.0, 80.0), "double": Kept(1.0, 9.0, 320.0)}
    assert "not short enough either" in diagnose(replace(FINE, **worse), LIMITS)[1]


def test_a_run_that_only_the_shorter_step_survives_is_the_step():
    lost = Kept(1.0, np.nan, np.nan)
    assert word(double=lost, order_coarse=np.nan, stopped={"double": "exploded at 3 fs"}) == "step too long"
    both = {"whole": "exploded at 9 fs", "double": "exploded at 3 fs"}
    assert word(whole=replace(lost, timestep_fs=0.5), double=lost, stopped=both) == "step too long"
    assert word(stopped={"half": "exploded", **both}) == "failed"
    assert word(stopped={"whole": "error"}) == "failed"
    assert word(stopped={"double": "error at 3 fs: no"}) == "failed"  # a calculator that raised is not the step
    assert word(stopped={"half": "error"}) == "failed"


@pytest.mark.parametrize("name", ["gradient", "curl"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_forces_that_could_not_be_examined_are_not_blamed_on_the_step(name, bad):
    lost = {"double": Kept(1.0, np.nan, np.nan), "order_coarse": np.nan, "stopped": {"double": "exploded at 3 fs"}}
    judgement, reason = diagnose(replace(FINE, **lost, **{name: TwoSteps(bad, bad, bad)}), LIMITS)
    assert judgement == "failed"
    assert reason == "not a number: " + {"gradient": "forces against energy differences", "curl": "curl"}[name]


def test_a_lost_order_with_forces_in_order_is_the_surface():
    assert word(**flat(0.5)) == "rough surface"
    assert word(order_fine=1.2, order_coarse=1.3) == "rough surface"
    assert word(order_fine=np.nan) == "rough surface"
    assert word(order_coarse=1.1) == "conserves"  # a floppy molecule went another way at twice the step
    large = {"half": Kept(0.25, 1.0, 2.0), "whole": Kept(0.5, 33.0, 8.0), "double": Kept(1.0, 40.0, 17.0)}
    assert word(**large, order_fine=1.9, order_coarse=1.1) == "rough surface"  # not the step: it would be 2 or more
    walk = {"half": Kept(0.25, 30.0, 14.0), "whole": Kept(0.5, 130.0, 70.0), "double": Kept(1.0, 99.0, 66.0)}
    assert word(**walk, order_fine=2.3, order_coarse=-0.1) == "rough surface"


def test_a_drift_that_no_step_cures_is_the_surface():
    runs = {"half": Kept(0.25, 9.0, 0.5), "whole": Kept(0.5, 9.5, 2.0), "double": Kept(1.0, 9.0, 8.0)}
    judgement, reason = diagnose(replace(FINE, **runs), LIMITS)
    assert judgement == "rough surface"
    assert "does not lessen the drift" in reason


def test_what_float64_mends_is_the_precision():
    assert word(**flat(0.1), exact_half=Kept(0.25, 0.001, 0.01)) == "low precision"
    # not when float64 is as bad
    assert word(**flat(0.1), exact_half=Kept(0.25, 0.001, 0.1)) == "rough surface"
    assert word(exact_half=Kept(0.25, np.nan, np.nan)) == "conserves"  # it was not asked about float64
    assert word(**flat(0.1), exact_half=Kept(0.25, np.nan, np.nan)) == "rough surface"


def test_the_growth_with_the_difference_step_tells_what_forces_and_energies_differ_by():
    assert word(gradient=TwoSteps(1e-3, 1e-3, 2.5e-4)) == "low precision"
    assert word(gradient=TwoSteps(1e-3, 1e-3, 1e-3)) == "not a gradient"
    assert word(gradient=TwoSteps(1e-3, 1e-4, 16e-3)) == "rough surface"
    assert word(gradient=TwoSteps(1e-3, 0.0, 16e-3)) == "rough surface"
    assert word(curl=TwoSteps(1e-3, 1e-3, 2.5e-4)) == "low precision"
    assert word(curl=TwoSteps(1e-3, 1e-3, 1e-3)) == "not a gradient"
    assert word(curl=TwoSteps(1e-3, 1e-4, 16e-3)) == "rough surface"


def test_what_is_wrong_at_some_places_only_is_the_surface():
    assert word(gradient=TwoSteps(1e-2, 1e-2, 1e-2, typical=1e-9)) == "rough surface"
    assert word(curl=TwoSteps(1e-2, 1e-2, 1e-2, typical=1e-9)) == "rough surface"
    assert word(curl=TwoSteps(1e-2, 1e-2, 1e-2, typical=5e-3)) == "not a gradient"
    assert word(gradient=TwoSteps(1e-2, 1e-2, 1e-2, typical=np.nan)) == "not a gradient"


def test_a_run_that_explodes_for_its_forces_is_not_blamed_on_the_step():
    assert word(stopped={"double": "exploded"}, curl=TwoSteps(0.1, 0.1, 0.1)) == "not a gradient"


def test_forces_that_are_no_gradient_explain_everything_else():
    everything = {**flat(50.0, drift=100.0), "momentum": 0.1, "reversal_A": 1.0, "gradient": TwoSteps(0.1, 0.1, 0.1)}
    assert word(**everything, curl=TwoSteps(0.02, 0.02, 0.02)) == "not a gradient"
    assert word(**{**everything, "gradient": FINE.gradient}) == "outside force"


@pytest.mark.parametrize("name", ["momentum", "angular_momentum"])
def test_momentum_that_is_lost_is_an_outside_force(name):
    assert word(**{name: 0.01}, **flat(30.0)) == "outside force"


def test_a_way_back_that_ends_elsewhere_and_an_uneven_share_are_named():
    assert word(reversal_A=0.02) == "not reversible"
    assert word(equipartition_chance=1e-7) == "uneven heat"


def test_an_order_of_rounding_alone_is_not_held_against_a_run():
    assert word(**flat(5e-5)) == "conserves"
    assert word(**flat(2e-4)) == "rough surface"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", [f.name for f in fields(Findings) if f.name not in ("stopped", "exact_half")])
def test_no_number_that_is_none_conserves(name, bad):
    if name.startswith("order") and bad == np.inf:
        pytest.skip("an order is finite or NaN")
    value = getattr(FINE, name)
    if isinstance(value, Kept):
        for part in ("drift", "rms"):
            assert word(**{name: replace(value, **{part: bad})}) == "failed"
    elif isinstance(value, TwoSteps):
        assert word(**{name: replace(value, value=bad)}) == "failed"
    elif name.startswith("order"):
        assert word(**{name: bad}) != "conserves"
    else:
        assert word(**{name: bad}) == "failed"


def test_every_limit_is_used():
    """Each limit, made impossible, changes the judgement of numbers that were fine, so that none is a dead letter."""
    for name in (f.name for f in fields(Limits)):
        tight = replace(LIMITS, **{name: np.inf if name.startswith("min") else -1.0})
        changed = diagnose(FINE, tight)[0] != "conserves"
        assert changed or name == "rms_floor_meV_per_atom", name
