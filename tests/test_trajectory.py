from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule

from gmd26_md.errors import UserError
from gmd26_md.trajectory import Trajectory, degrees_of_freedom, kinetic_energy, temperature_K


def ethanol_run(n_frames=4, *, velocities=True, info=None):
    random = np.random.default_rng(1)
    atoms = molecule("CH3CH2OH")
    shape = (n_frames, len(atoms), 3)
    return Trajectory(
        numbers=atoms.numbers,
        time_fs=0.5 * np.arange(n_frames),
        positions=atoms.positions + 0.1 * random.normal(size=shape),
        velocities=0.01 * random.normal(size=shape) if velocities else None,
        energies=random.normal(size=n_frames) - 300.0,
        forces=random.normal(size=shape),
        info=info or {},
    )


def assert_same(first, second):
    for name in ("numbers", "time_fs", "positions", "energies", "forces"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    assert first.info == second.info


def test_what_is_written_is_read_back_exactly(tmp_path):
    run = ethanol_run(info={"molecule": "ethanol", "seed": 3})
    run.write(tmp_path / "run.extxyz")
    again = Trajectory.read(tmp_path / "run.extxyz")
    assert_same(run, again)
    # Velocities pass through momenta, times and over the mass: two roundings.
    np.testing.assert_allclose(again.velocities, run.velocities, rtol=5e-16, atol=0)


def test_arrays_that_are_read_are_plain_in_memory_as_torch_needs_them(tmp_path):
    ethanol_run().write(tmp_path / "run.extxyz")
    again = Trajectory.read(tmp_path / "run.extxyz")
    for name in ("positions", "velocities", "forces"):
        assert getattr(again, name).flags.c_contiguous, name


def test_a_trajectory_without_velocities_comes_back_without(tmp_path):
    run = ethanol_run(velocities=False)
    run.write(tmp_path / "run.extxyz")
    again = Trajectory.read(tmp_path / "run.extxyz")
    assert_same(run, again)
    assert again.velocities is None


def test_ase_opens_the_file_with_positions_velocities_labels_and_time(tmp_path):
    run = ethanol_run(info={"molecule": "ethanol"})
    run.write(tmp_path / "run.extxyz")
    frames = ase.io.read(tmp_path / "run.extxyz", ":")
    assert len(frames) == run.n_frames
    for index, atoms in enumerate(frames):
        np.testing.assert_array_equal(atoms.positions, run.positions[index])
        np.testing.assert_allclose(atoms.get_velocities(), run.velocities[index], rtol=5e-16)
        assert atoms.get_potential_energy() == run.energies[index]
        np.testing.assert_array_equal(atoms.get_forces(), run.forces[index])
        assert atoms.info["time_fs"] == run.time_fs[index]
        assert not atoms.pbc.any()
    assert frames[0].info["trajectory_info"] == {"molecule": "ethanol"}
    assert "trajectory_info" not in frames[1].info


@pytest.mark.parametrize(
    "name",
    [
        'it"s',
        "it's",
        "a = b",
        "two  spaces",
        "back\\slash",
        'end\\"',
        "[1, 2]",
        "{x}",
        "line\nbreak",
        "Å µ é",
        "T",
        "1 2",
    ],
)
def test_awkward_names_in_the_info_survive_for_us_and_for_ase(tmp_path, name):
    info = {name: name, "nested": {"list": [1, 2.5, None, True, name]}}
    ethanol_run(info=info).write(tmp_path / "run.extxyz")
    assert Trajectory.read(tmp_path / "run.extxyz").info == info
    assert ase.io.read(tmp_path / "run.extxyz", 0).info["trajectory_info"] == info


def test_nan_and_infinity_are_data_in_arrays_and_info(tmp_path):
    run = ethanol_run(info={"last_temperature_K": float("inf")})
    run.forces[1, 2, 0], run.energies[2], run.positions[3] = np.nan, np.inf, np.nan
    run.write(tmp_path / "run.extxyz")
    assert_same(run, Trajectory.read(tmp_path / "run.extxyz"))
    assert np.isnan(ase.io.read(tmp_path / "run.extxyz", 1).get_forces()[2, 0])


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("positions", np.zeros((4, 8, 3)), r"\(4, 9, 3\), got \(4, 8, 3\)"),
        ("velocities", np.zeros((3, 9, 3)), r"\(4, 9, 3\), got \(3, 9, 3\)"),
        ("energies", np.zeros(5), r"\(4,\), got \(5,\)"),
        ("forces", np.zeros((4, 27)), r"\(4, 9, 3\), got \(4, 27\)"),
    ],
)
def test_a_wrong_shape_is_named_with_want_and_got(name, value, got):
    with pytest.raises(ValueError, match=rf"{name}: want shape {got}"):
        replace(ethanol_run(), **{name: value})


@pytest.mark.parametrize("time_fs", [[0.0, 2.0, 1.0, 3.0], [0.0, 1.0, np.nan, 3.0]])
def test_time_that_runs_backwards_or_is_no_number_is_refused(time_fs):
    with pytest.raises(ValueError, match="time_fs"):
        replace(ethanol_run(), time_fs=np.array(time_fs))


def test_a_trajectory_without_frames_is_refused():
    with pytest.raises(ValueError, match="at least one atom and one frame"):
        ethanol_run(n_frames=0)


def test_every_torn_file_is_refused_with_its_cure(tmp_path):
    path = tmp_path / "run.extxyz"
    ethanol_run(n_frames=2).write(path)
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for n_lines in range(len(lines)):
        path.write_text("".join(lines[:n_lines]))
        if n_lines == 11:  # one whole frame of 9 atoms: a valid, shorter trajectory
            assert Trajectory.read(path).n_frames == 1
            continue
        with pytest.raises(UserError, match="Run it again"):
            Trajectory.read(path)


def exchanged(lines, first, second):
    lines[first], lines[second] = lines[second], lines[first]


# ethanol has 9 atoms, so that frame 1 begins at line 11; its energy is in line 12, its atoms (C C O H ...) are 13 to 21
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda lines: lines.clear(), "it is empty"),
        (lambda lines: lines.__setitem__(0, "0"), "it begins with 0 atoms"),
        (lambda lines: lines.__setitem__(11, "8"), "the number of atoms changes"),
        (lambda lines: lines.__setitem__(12, lines[12].replace(" energy=", " label=")), "frame 1 has no energy"),
        (lambda lines: lines.__setitem__(12, lines[12].replace("time_fs=", "step=")), "frame 1 has no time_fs"),
        (lambda lines: lines.__setitem__(12, lines[12].replace(":forces:R:3", "")), "the columns of frame 1 are not"),
        (lambda lines: lines.__setitem__(14, "C 1 2 3 4 5"), "frame 1, atom 1: want a symbol and 6 numbers, got"),
        (lambda lines: lines.__setitem__(14, "C 1 2 3 4 5 6 7"), "frame 1, atom 1: want a symbol and 6 numbers, got"),
        (lambda lines: lines.__setitem__(14, ""), "frame 1, atom 1: want a symbol and 6 numbers, got ''"),
        (lambda lines: lines.__setitem__(14, "C 1 2 3 4 five 6"), "frame 1, atom 1: 'five' is no number"),
        (lambda lines: exchanged(lines, 14, 15), "frame 1 has other atoms, or another order of them, than frame 0"),
        (lambda lines: lines.__setitem__(2, lines[2].replace("C ", "Qq ", 1)), "Qq is no element"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_place(tmp_path, harm, words):
    path = tmp_path / "run.extxyz"
    ethanol_run(n_frames=2, velocities=False).write(path)
    lines = path.read_text().splitlines()
    harm(lines)
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(UserError, match=words) as caught:
        Trajectory.read(path)
    assert str(caught.value).count("\n") == 0


def test_one_atom_in_one_frame_is_a_trajectory(tmp_path):
    one = np.full((1, 1, 3), 1.0 / 3.0)
    Trajectory(np.array([2]), np.zeros(1), one, None, np.array([-1e-300]), one * 1e22).write(tmp_path / "he.extxyz")
    again = Trajectory.read(tmp_path / "he.extxyz")
    assert (again.positions == one).all()
    assert (again.forces == one * 1e22).all()


def test_a_missing_file_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="cannot read trajectory"):
        Trajectory.read(tmp_path / "none.extxyz")


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.extxyz"
    run = ethanol_run()
    run.write(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(run, info={"no json": object()}).write(path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["run.extxyz"]


def test_a_part_has_the_chosen_frames():
    run = ethanol_run()
    part = run.part(slice(1, 4, 2))
    np.testing.assert_array_equal(part.time_fs, run.time_fs[[1, 3]])
    np.testing.assert_array_equal(part.forces, run.forces[[1, 3]])


def test_a_few_frames_of_a_file_are_read_as_they_are_there(tmp_path):
    whole = ethanol_run(5, info={"who": "ethanol"})
    whole.write(tmp_path / "run.extxyz")
    some = Trajectory.read(tmp_path / "run.extxyz", lambda times: np.flatnonzero(times > times[1]))
    assert_same(some, Trajectory.read(tmp_path / "run.extxyz").part(np.array([2, 3, 4])))


def test_kinetic_energy_is_that_of_ase():
    run = ethanol_run()
    for index, energy in enumerate(kinetic_energy(run)):
        atoms = Atoms(run.numbers, run.positions[index], velocities=run.velocities[index])
        assert energy == pytest.approx(atoms.get_kinetic_energy(), rel=1e-13)


def test_kinetic_energy_without_velocities_is_refused():
    with pytest.raises(ValueError, match="no velocities"):
        kinetic_energy(ethanol_run(velocities=False))


@pytest.mark.parametrize(("n_atoms", "fixed", "free"), [(1, 0, 0), (2, 1, 3), (3, 3, 6), (9, 21, 24)])
def test_degrees_of_freedom_are_counted(n_atoms, fixed, free):
    assert degrees_of_freedom(n_atoms) == fixed
    assert degrees_of_freedom(n_atoms, rotation_fixed=False) == free


def test_temperature_has_its_degrees_of_freedom():
    run = ethanol_run()
    energy = kinetic_energy(run)
    np.testing.assert_allclose(temperature_K(run), 2 * energy / (21 * units.kB), rtol=1e-14)
    np.testing.assert_allclose(temperature_K(run, 24), 2 * energy / (24 * units.kB), rtol=1e-14)


def test_the_temperature_of_one_atom_at_rest_is_not_zero_but_unknown():
    shape = (1, 1, 3)
    atom = Trajectory([1], [0.0], np.zeros(shape), np.zeros(shape), [0.0], np.zeros(shape))
    assert np.isnan(temperature_K(atom)).all()
