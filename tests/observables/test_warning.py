import numpy as np
import pytest

from gmd26_md.observables.warning import OUTCOMES, Watched, first_above, tally, threshold, warned

NAN = float("nan")
TIME = np.arange(10) * 0.1
RAMP = np.arange(10.0)  # passes 4.5 in frame 5, at 0.5 ps


def watched(happened_at_ps=None, signal=RAMP, molecule="a"):
    return Watched(molecule, TIME, np.asarray(signal, dtype=float), happened_at_ps)


@pytest.mark.parametrize(
    ("happened_at_ps", "lead_ps", "outcome"),
    [(0.8, 0.3, "before"), (0.5, 0.0, "with it"), (0.2, -0.3, "late"), (None, None, "false alarm")],
)
def test_the_lead_time_is_that_from_the_warning_to_what_it_warned_of(happened_at_ps, lead_ps, outcome):
    found = warned(watched(happened_at_ps), 4.5)
    assert found.warned_at_ps == pytest.approx(0.5)
    assert found.lead_ps == (None if lead_ps is None else pytest.approx(lead_ps))
    assert found.outcome == outcome


def test_a_signal_at_its_threshold_does_not_warn_and_is_no_time():
    assert first_above(TIME, RAMP, 9.0) is None
    assert warned(watched(0.4), 9.0).outcome == "never"
    assert warned(watched(None), 9.0).outcome == "quiet"


def test_nan_warns():
    signal = [0, 0, 0, NAN, 0, 0, 0, 0, 0, 0]
    assert first_above(TIME, np.array(signal), 1e9) == pytest.approx(0.3)
    assert first_above(TIME, np.zeros(10), NAN) == 0.0, "a threshold that is no number lets nothing pass"


def test_the_threshold_is_a_percentile_of_what_was_before_anything_happened():
    assert threshold([watched(), watched(0.3, 100.0 * RAMP)], 100) == 200.0  # 300 and more came with the failure
    assert threshold([watched()], 90) == 9.0  # the next that occurs, not 8.1
    assert threshold([watched(None, [NAN] * 10)], 99) == np.inf
    with pytest.raises(ValueError, match="no frame"):
        threshold([watched(0.0)], 99)
    with pytest.raises(ValueError, match="no frame"):
        threshold([], 99)


def test_every_run_is_in_the_tally_once():
    quiet = np.zeros(10)
    runs = [
        watched(0.8, molecule="a"),
        watched(0.6, molecule="b"),
        watched(0.5, molecule="c"),
        watched(0.2, molecule="d"),
        watched(0.4, quiet, molecule="e"),
        watched(None, molecule="f"),
        watched(None, quiet, molecule="g"),
        watched(None, quiet, molecule="h"),
    ]
    found = tally(runs, 4.5)
    counts = [found[f"n_{name.replace(' ', '_')}"] for name in OUTCOMES]
    assert counts == [2, 1, 1, 1, 1, 2]
    assert found["n_runs"] == sum(counts) == len(runs)
    assert found["warned_before_fraction"].value == 0.4
    assert found["false_alarm_fraction"].value == pytest.approx(1 / 3)
    assert found["warned_before_fraction"].low < 0.4 < found["warned_before_fraction"].high
    assert found["lead_median_ps"] == pytest.approx(0.05)  # of 0.3, 0.1, 0, -0.3


def test_where_nothing_happened_no_share_is_warned_of():
    found = tally([watched(None)], 100.0)
    assert found["warned_before_fraction"] is None
    assert found["lead_median_ps"] is None
    assert found["false_alarm_fraction"].value == 0.0
    assert found["false_alarm_fraction"].over == "nothing"
