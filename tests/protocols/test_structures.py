"""A user's structures: read, named, or refused in one line."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from gmd26_md.errors import UserError
from gmd26_md.protocols.cases import cases_of_file
from gmd26_md.structure_files import read_structures


def changed(**changes):
    atoms = molecule("CH3OH")
    for name, value in changes.items():
        if name == "info":
            atoms.info.update(value)
        else:
            setattr(atoms, name, value)
    return atoms


def nowhere():
    atoms = molecule("CH3OH")
    atoms.positions[2, 1] = np.nan
    return atoms


def in_one_place():
    atoms = molecule("CH3OH")
    atoms.positions[3] = atoms.positions[2]
    return atoms


def charged():
    atoms = molecule("CH3OH")
    atoms.set_initial_charges([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    return atoms


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (nowhere(), "not finite"),
        (in_one_place(), "two atoms 0.000 Å apart"),
        (changed(pbc=True, cell=np.eye(3) * 10.0), "has a cell"),
        (changed(cell=np.eye(3) * 10.0), "has a cell"),
        (changed(info={"charge": 1}), "has charge 1"),
        (changed(info={"charge": -0.5}), "has charge -0.5"),
        (changed(info={"charge": "minus"}), "has charge minus"),
        (changed(info={"charge": [0, 1]}), "has charge"),
        (changed(info={"total_charge": 1}), "has charge 1"),
        (changed(info={"charge": 0, "net_charge": -1}), "has charge -1"),
        (charged(), "has charge 1"),
        (changed(symbols=["X", "O", "H", "H", "H", "H"]), "has an atom X, which is no element"),
    ],
)
def test_what_is_no_molecule_in_vacuum_is_refused_in_one_line(tmp_path, atoms, said):
    path = tmp_path / "mine.extxyz"
    write(path, [molecule("H2O"), atoms])
    with pytest.raises(UserError, match=said) as caught:
        read_structures(path)
    assert "\n" not in str(caught.value)
    assert "frame 2" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("nothing\nto\nread\n", "does not parse"),
        ("3\n\nO 0 0 0\nH 0 0 1\n", "does not parse"),
        ("2\n\nO 0 0 0\nXyz 0 0 1\n", "does not parse"),
        ("\0\1\2", "does not parse"),
        ("0\n\n", "no atoms"),
    ],
)
def test_a_file_that_is_no_structure_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "mine.xyz"
    path.write_text(content)
    with pytest.raises(UserError, match=f"{said}|has no molecules") as caught:
        read_structures(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no molecule file at"):
        read_structures(tmp_path / "none.xyz")
    with pytest.raises(UserError, match="no molecule file at"):
        read_structures(tmp_path)


def test_molecules_are_named_by_their_own_names_or_by_the_file(tmp_path):
    write(tmp_path / "mine.extxyz", [changed(info={"name": "wood spirit"}), molecule("H2O")])
    assert [a.info["name"] for a in read_structures(tmp_path / "mine.extxyz")] == ["wood spirit", "mine-2"]
    write(tmp_path / "lone.xyz", molecule("H2O"))
    assert [a.info["name"] for a in read_structures(tmp_path / "lone.xyz")] == ["lone"]


def test_two_molecules_of_one_name_are_told_apart(tmp_path):
    write(tmp_path / "mine.extxyz", [changed(info={"name": "x"}) for _ in range(3)])
    names = [a.info["name"] for a in read_structures(tmp_path / "mine.extxyz")]
    assert len(set(names)) == 3
    assert names[0] == "x"


def test_an_atom_alone_and_a_stated_charge_of_zero_are_read(tmp_path):
    write(tmp_path / "mine.extxyz", [Atoms("O", info={"charge": 0}), changed(info={"charge": 0.0})])
    assert len(read_structures(tmp_path / "mine.extxyz")) == 2


def test_unusual_names_become_file_names_of_their_own(tmp_path):
    names = ["a/b", "a-b", "A-B", "N-[2-(methylthio)ethyl]amide", "../../etc/passwd", "...", "ä b", "x" * 400, "?"]
    write(tmp_path / "mine.extxyz", [changed(info={"name": name}) for name in names])
    cases = cases_of_file(tmp_path / "mine.extxyz", "harmonic")  # springs are at rest as they are given
    assert [case.name for case in cases] == names
    slugs = [case.slug for case in cases]
    assert slugs[0] == "a-b"
    assert len({slug.casefold() for slug in slugs}) == len(names)
    for slug in slugs:
        assert not set(slug) & set("/\\[]() ?:*\0")
        assert not slug.startswith((".", "-"))
        (tmp_path / f"{slug}-seed0.extxyz").write_text("")  # a name that the file system takes
    assert len(list(tmp_path.iterdir())) == 1 + len(names)
    for case in cases:
        assert case.split == "user"
        assert case.frames is None
        assert np.array_equal(case.minimum.positions[0], case.structure.positions)
