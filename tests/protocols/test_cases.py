"""A task's molecules as cases: from stored data, or refused in one line."""

import numpy as np
import pytest

from gmd26_md import tasks
from gmd26_md.datasets import store
from gmd26_md.errors import UserError
from gmd26_md.protocols.cases import cases_of_task, refuse_unknown_elements
from gmd26_md.trajectory import Trajectory

LEVEL = "gfn2-xtb"
NAMES = ["ethanoic acid", "ethanedioic acid"]  # in training, and not


@pytest.fixture
def data(tmp_path):
    for molecule in tasks.get("duplication").molecules:
        if molecule.name in NAMES:
            atoms = molecule.atoms()
            shape = (4, len(atoms), 3)
            frames = Trajectory(
                atoms.numbers,
                np.arange(4.0),
                np.broadcast_to(atoms.positions, shape),
                None,
                np.zeros(4),
                np.zeros(shape),
            )
            folder = store.folder_of(tmp_path, LEVEL, molecule)
            store.write_stage(folder, "minimum", frames.part(slice(1)), {"settings": {}})
            store.write_stage(folder, "primary", frames, {"settings": {}})
    return tmp_path


def test_minima_and_frames_come_from_the_data_folder(data):
    acid, diacid = cases_of_task(tasks.get("duplication"), data, LEVEL, only=NAMES, n_frames=2)
    assert (acid.name, acid.slug, acid.split, acid.formula) == ("ethanoic acid", "ethanoic-acid", "id", "C2H4O2")
    assert diacid.split == "ood"
    assert acid.frames is None  # no secondary: nothing that was not trained on
    assert diacid.frames.n_frames == 2
    assert (diacid.minimum.positions[0] == diacid.structure.positions).all()


def test_a_molecule_of_another_task_or_of_none_is_refused(data):
    with pytest.raises(UserError, match="ethane is not in the task duplication"):
        cases_of_task(tasks.get("duplication"), data, LEVEL, only=["ethane"])
    with pytest.raises(UserError, match="ethanoic acid"):
        cases_of_task(tasks.get("duplication"), data, LEVEL, only=["ethanoic acit"])


def test_an_element_that_the_model_does_not_know_is_named(data):
    cases = cases_of_task(tasks.get("duplication"), data, LEVEL, only=NAMES)
    refuse_unknown_elements(cases, None, "any")
    refuse_unknown_elements(cases, frozenset({1, 6, 8}), "mine.ckpt")
    with pytest.raises(UserError, match=r"ethanoic acid has O; mine\.ckpt knows H C"):
        refuse_unknown_elements(cases, frozenset({1, 6}), "mine.ckpt")


def test_a_minimum_with_its_atoms_in_another_order_is_refused(data):
    found = next(m for m in tasks.get("duplication").molecules if m.name == NAMES[0])
    folder = store.folder_of(data, LEVEL, found)
    minimum = store.read_frames(folder / "minimum.extxyz")
    shuffled = Trajectory(
        minimum.numbers[::-1], minimum.time_fs, minimum.positions, None, minimum.energies, minimum.forces
    )
    store.write_stage(folder, "minimum", shuffled, {"settings": {}})
    with pytest.raises(UserError, match="another order"):
        cases_of_task(tasks.get("duplication"), data, LEVEL, only=NAMES)
