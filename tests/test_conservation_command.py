"""The conservation command, from the command line to the records, on a tiny model that hardly pulls."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from gmd26_md import evaluate, tasks
from gmd26_md.evaluate.conservation import other_precision
from gmd26_md.metrics import METRICS
from gmd26_md.protocols import conservation
from gmd26_md.protocols.cases import cases_of_task
from gmd26_md.protocols.subject import open_subject
from gmd26_md.question import Question
from gmd26_md.records import read_records
from gmd26_md.report.sections import SECTIONS
from gmd26_md.run_folder import open_run_folder
from gmd26_md.trajectory import Trajectory

SHORT = ("--thermalise-ps", 0.002, "--run-ps", 0.04, "--reversal-fs", 4, "--n-frames", 1, "--n-directions", 2)
SETTINGS = conservation.Settings(thermalise_ps=0.002, run_ps=0.04, reversal_fs=4.0, n_frames=1, n_directions=2)


@pytest.fixture
def asked(tiny_model, frames_folder, tmp_path):
    return (
        *("conservation", "--model", tiny_model, "--frames", frames_folder, "--device", "cpu", *SHORT),
        *("--only", "oxalic acid", "--out", tmp_path / "run"),
    )


@pytest.fixture
def question(tiny_model, frames_folder):
    subject = open_subject(str(tiny_model), device="cpu")
    cases = cases_of_task(tasks.get("duplication"), frames_folder, "gfn2-xtb", only=("acetic acid", "oxalic acid"))
    return Question(subject, "duplication", cases)


def folder_for(question, path):
    return open_run_folder(path, question.content("conservation", asdict(SETTINGS)))


def test_the_command_judges_every_molecule_and_goes_on_without_doing_anything_twice(cli, asked, tmp_path):
    code, out, err = cli(*asked)
    assert (code, err) == (0, "")
    assert "conservation at 0.5 fs, conserves" in " ".join(out.split())
    records = read_records(tmp_path / "run" / "records.jsonl")
    assert [r.molecule for r in records] == ["ethanedioic acid"]
    for record in records:
        assert record.reason.startswith("conserves: "), record.reason  # what hardly pulls keeps its energy
        assert set(record.metrics) <= set(METRICS)
        assert {row.metric for row in SECTIONS["conservation"].rows} <= set(record.metrics)
        assert record.metrics["float32_half_step_energy_rms_meV_per_atom"] is not None  # the checkpoint in float32
        assert record.settings["limits"]["max_curl_ratio"] == 1e-4  # thresholds stand in the record
        frames = Trajectory.read(tmp_path / "run" / record.trajectory)
        assert frames.time_fs.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    code, out, _ = cli(*asked, "--json")
    assert code == 0
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before
    assert json.loads(out)["splits"]["ood"]["judged"]["conservation at 0.5 fs"]["judgements"] == {"conserves": 1}


def test_a_float32_model_is_held_against_its_float64(cli, asked, tmp_path):
    code, _, _ = cli(*asked, "--dtype", "float32")
    assert code == 0
    metrics = read_records(tmp_path / "run" / "records.jsonl")[0].metrics
    assert metrics["gradient_error_ratio"] < 1e-6  # asked in float64; float32 gives 1e-4 and more
    assert metrics["precision_force_rmse_eV_per_A"] > 0.0


def test_a_calculator_without_a_checkpoint_has_no_other_precision():
    assert other_precision(open_subject("gfn2-xtb")) is None


def test_the_other_precision_is_the_same_checkpoint_in_it(tiny_model):
    for dtype, other in (("float64", torch.float32), ("float32", torch.float64)):
        assert other_precision(open_subject(str(tiny_model), device="cpu", dtype=dtype)).dtype == other


class Sick:
    """A provider whose forces are not a number for molecules with so many electrons."""

    def __init__(self, provider, n_electrons):
        self.provider, self.n_electrons, self.device = provider, n_electrons, provider.device
        self.cost, self.capacity = provider.cost, provider.capacity

    def bind(self, numbers):
        return Fever(self, list(numbers))


class Fever:
    def __init__(self, owner, numbers):
        self.owner, self.numbers, self.errors = owner, numbers, {}
        self.bound = owner.provider.bind(numbers)
        bad = [int(z.sum()) == owner.n_electrons for z in numbers]
        self.bad = torch.as_tensor(np.repeat(bad, [len(z) for z in numbers]).astype(bool))[:, None]

    def only(self, chosen):
        return Fever(self.owner, [self.numbers[i] for i in chosen])

    def joined(self, other):
        return Fever(self.owner, [*self.numbers, *other.numbers])

    def __call__(self, positions):
        energies, forces = self.bound(positions)
        return energies, torch.where(self.bad, torch.nan, forces)


def test_a_molecule_that_explodes_is_a_record_and_the_others_are_as_they_were(question, tmp_path):
    lost = question.cases[1]
    sick = replace(question.subject, provider=Sick(question.subject.provider, int(lost.numbers.sum())), path=None)
    well = replace(question.subject, path=None)
    found = {}
    for name, subject in (("well", well), ("sick", sick)):
        asked = replace(question, subject=subject)
        folder = folder_for(asked, tmp_path / name)
        evaluate.measure_conservation(asked, folder, SETTINGS)
        found[name] = {r.molecule: r for r in folder.records()}
    assert found["sick"][lost.name].reason.startswith("failed: the thermalisation did not come to its end, exploded")
    assert found["sick"][lost.name].metrics == {}
    other = question.cases[0].name
    rms = [found[name][other].metrics["energy_rms_meV_per_atom"] for name in ("well", "sick")]
    assert rms[0] == pytest.approx(rms[1], rel=1e-3)  # a sum in another order, of an energy that hardly moves


def test_an_analysis_that_fails_is_a_record_too(question, tmp_path, monkeypatch):
    question = replace(question, subject=replace(question.subject, path=None))

    def hostile(case, *rest, **more):
        if case is question.cases[0]:
            raise RuntimeError("no")
        return genuine(case, *rest, **more)

    genuine = conservation.analyse
    monkeypatch.setattr(conservation, "analyse", hostile)
    folder = folder_for(question, tmp_path / "run")
    evaluate.measure_conservation(question, folder, SETTINGS)
    first, second = folder.records()
    assert (first.verdict, first.reason) == ("error", "analysis failed, RuntimeError: no")
    assert second.reason.startswith("conserves: ")


def test_a_molecule_that_cannot_be_run_is_recorded(question, tmp_path):
    unknown = replace(question.cases[0], minimum=None)
    asked = replace(question, cases=[unknown])
    folder = folder_for(asked, tmp_path / "run")
    evaluate.measure_conservation(asked, folder, SETTINGS)
    (record,) = folder.records()
    assert (record.verdict, record.metrics) == ("error", {})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("--timestep-fs", "nan"), "give a finite number above 0"),
        (("--timestep-fs", 3), "make it 6"),
        (("--run-ps", 0.01), "20 or more"),
        (("--n-probes", 2), "n_probes is 2"),
        (("--min-order", -1), "give a finite number above 0"),
        (("--temperature-K", 0), "give a finite number above 0"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(cli, asked, changed, words, tmp_path):
    code, out, err = cli(*asked, *changed)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
