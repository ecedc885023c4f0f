"""What training compositions pin down, on the benchmark's own tasks, with their shortest members."""

from dataclasses import replace

import numpy as np

from gmd26_md import tasks
from gmd26_md.datasets.composition import composition_report


def shortest(name):
    task = tasks.get(name)
    return replace(task, train=task.train[:4], ood=task.ood[:3])


def test_acids_leave_the_oxygen_of_diacids_open():
    # CnH2nO2: two oxygens always, so that what an oxygen costs cannot be told from a constant
    found = composition_report(shortest("duplication"))
    assert (found["rank"], found["n_elements"]) == (2, 3)
    assert found["elements"] == [1, 6, 8]
    assert set(found["identifiable"]) == {"ethanedioic acid", "propanedioic acid", "butanedioic acid"}
    assert not any(found["identifiable"].values())
    (direction,) = np.array(found["null_directions"])
    for n in (2, 3, 7):
        assert abs(direction @ [2 * n, n, 2]) < 1e-4  # no acid sees it; rounded to 1e-6
        assert abs(direction @ [2 * n - 2, n, 4]) > 0.1  # every diacid does
    assert "rank 2 for 3 elements" in found["words"]
    assert "3 of 3" in found["words"]


def test_longer_alkanes_follow_from_shorter_ones():
    found = composition_report(shortest("chain-extension"))
    assert (found["rank"], found["n_elements"]) == (2, 2)
    assert found["null_directions"] == []
    assert all(found["identifiable"].values())
    assert "0 of 3" in found["words"]
