"""Several checkpoints as the model under test: what it is called, what it knows, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmd26_md.calculators import families
from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.errors import UserError
from gmd26_md.protocols.subject import open_subject
from gmd26_md.question import reference_of

WATER = np.array([8, 1, 1])
POSITIONS = torch.tensor([[0.0, 0.0, 0.1], [0.76, 0.0, -0.5], [-0.76, 0.1, -0.5]], dtype=torch.float64)


@pytest.fixture
def new_tiny_model(tiny_model):
    """Return a maker of the tiny model with other elements, or another card."""

    def make(path, elements=(1, 6, 8), **card):
        checkpoint = load_checkpoint(tiny_model)
        weights = families.build_network(checkpoint.family, checkpoint.hyperparameters, elements).state_dict()
        energies = dict.fromkeys(elements, -20.0)
        save_checkpoint(
            replace(checkpoint, elements=elements, element_energies=energies, state_dict=weights, **card), path
        )
        return path

    return make


@pytest.fixture
def twins(tiny_model, tmp_path):
    """The tiny model, and one of other weights, in another folder."""
    checkpoint = load_checkpoint(tiny_model)
    weights = {name: 1.1 * w if w.is_floating_point() else w for name, w in checkpoint.state_dict.items()}
    save_checkpoint(replace(checkpoint, state_dict=weights), tmp_path / "other.pt")
    return str(tiny_model), str(tmp_path / "other.pt")


def test_one_model_in_a_tuple_is_that_model(tiny_model):
    alone, tupled = open_subject(str(tiny_model), device="cpu"), open_subject((str(tiny_model),), device="cpu")
    assert (tupled.name, tupled.sha256, tupled.members) == (alone.name, alone.sha256, ()) != ("", "", ())


def test_a_committee_is_the_same_subject_in_any_order_and_not_one_of_its_members(twins):
    one, turned = open_subject(twins, device="cpu"), open_subject(twins[::-1], device="cpu")
    assert one.name == turned.name == "other+tiny"
    assert one.sha256 == turned.sha256
    assert one.sha256 not in one.members == turned.members
    assert (one.family, one.task, one.level_of_theory) == ("deepset-moe", "duplication", "gfn2-xtb")
    assert one.elements == {1, 6, 8}
    answers = [s.provider.bind([WATER])(POSITIONS) for s in (one, turned)]
    assert torch.equal(answers[0][1], answers[1][1])


def test_both_roads_give_the_mean_of_the_members(twins):
    alone = [open_subject(m, device="cpu").provider.bind([WATER])(POSITIONS) for m in twins]
    wanted = (alone[0][1] + alone[1][1]) / 2
    for engine in ("batched", "ase"):
        subject = open_subject(twins, device="cpu", engine=engine)
        assert subject.engine == engine
        energy, forces = subject.provider.bind([WATER])(POSITIONS)
        assert energy.item() == pytest.approx((alone[0][0] + alone[1][0]).item() / 2, abs=1e-9)
        assert forces.numpy() == pytest.approx(wanted.numpy(), abs=1e-12)
    assert isinstance(subject.provider, AseForces)


def test_it_knows_what_all_members_know_and_its_task_is_the_one_they_share(tiny_model, new_tiny_model, tmp_path):
    more = new_tiny_model(tmp_path / "more.pt", elements=(1, 6, 7, 8), task="lengthening")
    subject = open_subject((str(tiny_model), str(more)), device="cpu")
    assert subject.elements == {1, 6, 8}
    assert subject.task is None


def test_many_members_have_a_short_name_of_their_own(tiny_model, new_tiny_model, tmp_path):
    paths = [str(new_tiny_model(tmp_path / f"{'long' * 15}-{i}.pt", energy_scale=1e-4 + i)) for i in (1, 2)]
    name = open_subject(paths, device="cpu").name
    assert name.startswith("committee-of-2-")
    assert open_subject([*paths, str(tiny_model)], device="cpu").name != name


def test_members_of_different_levels_of_theory_are_refused(tiny_model, new_tiny_model, tmp_path):
    other = new_tiny_model(tmp_path / "dft.pt", level_of_theory="pbe-d3bj")
    with pytest.raises(UserError, match="trained on different labels") as told:
        open_subject((str(tiny_model), str(other)), device="cpu")
    assert "dft.pt on pbe-d3bj" in str(told.value)


def test_a_member_cannot_be_the_reference_of_its_committee(twins):
    with pytest.raises(UserError, match="cannot judge itself"):
        reference_of(open_subject(twins, device="cpu"), twins[1])


def test_the_command_line_takes_several_models(cli, twins, frames_folder, tmp_path):
    arguments = ("--frames", frames_folder, "--only", "acetic acid", "--device", "cpu", "--json")
    out = tmp_path / "run"
    code, said, _ = cli("static-errors", "--model", twins[0], "--model", twins[1], *arguments, "--out", out)
    assert code == 0
    assert '"model": "other+tiny"' in said
    code, _, error = cli("static-errors", "--model", twins[0], "--model", twins[0], *arguments)
    assert code == 2
    assert "is given twice" in error
    code, _, error = cli("static-errors", "--model", twins[0], "--model", "gfn2-xtb", *arguments)
    assert code == 2
    assert "gfn2-xtb cannot be a member of a committee" in error
    foreign = ("--task", "combination", "--only", "ethane-1,2-diamine")
    code, _, error = cli("relaxation", *(a for m in twins for a in ("--model", m)), *foreign)
    assert code == 2
    assert "a committee of 2 knows H C O" in error
