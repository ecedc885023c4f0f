"""What distances are measured from: kept in a file and read back to the bit, and refused where it does not belong."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.descriptors.reference import fit_reference, load_reference, measure, save_reference
from gmd26_md.descriptors.space import Space
from gmd26_md.errors import UserError

ACID, WATER = molecule("CH3COOH"), molecule("H2O")


def pairs(numbers, positions):
    """Return a toy space: the sorted distances to the three nearest atoms; a lone pair of atoms has too few."""
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
    return np.sort(distances, axis=2)[:, :, 1:3]


TOY = Space("soap", {"toy": 1}, pairs)


def shaken(atoms, seed, n_frames=40, scale=0.05):
    noise = np.random.default_rng(seed).normal(scale=scale, size=(n_frames, len(atoms), 3))
    return atoms.numbers, atoms.positions + noise


@pytest.fixture(scope="module")
def reference():
    return fit_reference(TOY, [shaken(ACID, 1)], [shaken(ACID, 2)], {"task": "toy"})


def test_frames_like_the_training_are_near_and_a_torn_molecule_is_far(reference):
    numbers, positions = shaken(ACID, 3)
    usual = measure(reference, TOY, numbers, positions)
    assert usual.mahalanobis.shape == positions.shape[:2]
    assert np.median(usual.mahalanobis) == pytest.approx(1.0, abs=0.15)  # 40 frames of each
    torn = positions.copy()
    torn[:, 0] += 5.0
    found = measure(reference, TOY, numbers, torn)
    assert (found.mahalanobis[:, 0] > 10.0).all()
    assert (found.mahalanobis_percentile[:, 0] == 100.0).all()


def test_an_element_that_training_has_not_is_infinitely_far(reference):
    numbers = np.where(ACID.numbers == 8, 7, ACID.numbers)
    found = measure(reference, TOY, numbers, ACID.positions[None])
    assert np.isinf(found.nearest[0, numbers == 7]).all()
    assert np.isfinite(found.nearest[0, numbers != 7]).all()


def test_a_file_gives_the_same_distances_to_the_last_digits(reference, tmp_path):
    save_reference(reference, tmp_path / "one.npz")
    again = load_reference(tmp_path / "one.npz")
    numbers, positions = shaken(ACID, 4)
    before, after = measure(reference, TOY, numbers, positions), measure(again, TOY, numbers, positions)
    assert np.allclose(before.mahalanobis, after.mahalanobis, rtol=1e-5)  # variances in single precision
    assert np.allclose(before.nearest, after.nearest, rtol=1e-5)
    assert again.made_of["environments"]["O"] == {"n_train": 80, "n_heldout": 80}
    save_reference(again, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_another_space_is_refused(reference):
    with pytest.raises(UserError, match="fitted in another space"):
        measure(reference, replace(TOY, identity={"toy": 2}), ACID.numbers, ACID.positions[None])


def test_too_few_environments_of_an_element_are_said():
    with pytest.raises(UserError, match="distances for O cannot be calibrated: 5 training and 40 held-out"):
        fit_reference(TOY, [shaken(WATER, 5, 5)], [shaken(WATER, 6, 40)], {})


def test_of_many_environments_each_molecule_gives_the_same_share(monkeypatch):
    monkeypatch.setattr("gmd26_md.descriptors.reference.MAX_ROWS", 60)
    frames = [shaken(ACID, 1), shaken(ACID, 2)]
    found = fit_reference(TOY, frames, frames[:1], {})
    assert found.made_of["environments"] == {
        "H": {"n_train": 60, "n_heldout": 60},  # 160 in each molecule
        "C": {"n_train": 60, "n_heldout": 60},
        "O": {"n_train": 60, "n_heldout": 60},
    }


def test_an_element_that_is_never_held_out_is_said():
    with pytest.raises(UserError, match="distances for C cannot be calibrated: 80 training and 0 held-out"):
        fit_reference(TOY, [shaken(ACID, 7)], [shaken(WATER, 8)], {})


def test_training_frames_that_cannot_be_described_are_said():
    blind = replace(TOY, describe=lambda numbers, positions: np.full((*positions.shape[:2], 2), np.nan))
    with pytest.raises(UserError, match="features of H2O in soap space are no numbers"):
        fit_reference(blind, [shaken(WATER, 9)], [shaken(WATER, 10)], {})


def garbage(path, reference):
    path.write_bytes(b"not an archive")


def cut_short(path, reference):
    save_reference(reference, path)
    path.write_bytes(path.read_bytes()[:-200])


def changed(name, value):
    def change(path, reference):
        elements = {z: replace(e, **{name: value(getattr(e, name))}) for z, e in reference.elements.items()}
        save_reference(replace(reference, elements=elements), path)

    return change


def pickled(path, reference):
    np.savez(path, card=np.array([{"format": "x"}], dtype=object))


@pytest.mark.parametrize(
    "damage",
    [
        garbage,
        cut_short,
        pickled,
        changed("scale", lambda v: v * 0.0),
        changed("mean", lambda v: v * np.nan),
        changed("noise", lambda v: 0.0),
        changed("kept", lambda v: v[:, :1]),
        changed("nearest", lambda v: v[:-1]),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage, reference, tmp_path):
    path = tmp_path / "damaged.npz"
    damage(path, reference)
    with pytest.raises(UserError, match=r"no distance reference, or is damaged .* distance fit"):
        load_reference(path)


def test_a_newer_format_and_a_missing_file_say_what_to_do(reference, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no distance reference at .* distance fit' --data"):
        load_reference(tmp_path / "none.npz")
    monkeypatch.setattr("gmd26_md.descriptors.reference.FORMAT", "gmd26-md distance reference 2")
    save_reference(reference, tmp_path / "new.npz")
    monkeypatch.undo()
    with pytest.raises(UserError, match="is 'gmd26-md distance reference 2', this version reads"):
        load_reference(tmp_path / "new.npz")
