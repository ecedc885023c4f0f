"""The one door: what it opens, what it refuses, and that it leaves the process as it was."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from gmd26_md import UserError, load_calculator
from gmd26_md.calculators.device import choose_device
from gmd26_md.calculators.side_effects import contained


def run_fresh(code: str) -> dict:
    """Run code in a new interpreter and return the JSON that it prints."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- what it opens


@pytest.mark.parametrize("as_type", [str, lambda p: p])
def test_a_checkpoint_is_opened_by_its_path(checkpoint_path, acid, as_type):
    calculator = load_calculator(as_type(checkpoint_path("schnet")))
    assert np.isfinite(calculator.get_property("energy", acid))
    assert calculator.todict()["model"] == str(checkpoint_path("schnet"))


def test_a_relative_path_means_the_same_file_from_another_folder(checkpoint_path, acid, monkeypatch, tmp_path):
    path = checkpoint_path("deepset-moe")
    monkeypatch.chdir(path.parent)
    packed = pickle.dumps(load_calculator(path.name, device="cpu"))
    monkeypatch.chdir(tmp_path)
    assert np.isfinite(pickle.loads(packed).get_property("energy", acid))


def test_a_name_goes_before_a_file(monkeypatch, tmp_path):
    (tmp_path / "harmonic").write_text("not a model")
    monkeypatch.chdir(tmp_path)
    assert load_calculator("harmonic").todict() == {"model": "harmonic"}
    with pytest.raises(UserError, match="a text file"):
        load_calculator("./harmonic")


# --- what it refuses


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gfn2", "Did you mean 'gfn2-xtb'"),
        ("harmnic", "Did you mean 'harmonic'"),
        ("mace", "'mace' is a family of models, not a trained one"),
        ("good.pt", "does not exist"),
        ("./folder/good.pt", "nor does its folder"),
    ],
)
def test_what_is_neither_a_file_nor_a_name_gets_a_hint(name, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_calculator(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("gfn2-xtb", {"acuracy": 1.0}, "Did you mean 'accuracy'"),
        ("gfn2-xtb", {"accuracy": -1}, "must be a positive number"),
        ("gfn2-xtb", {"max_iterations": float("nan")}, "must be a positive number"),
        ("harmonic", {"k_eV_per_A2": 0}, "must be a positive number"),
        ("harmonic", {"k_eV_per_A2": None}, "must be a positive number"),
        ("harmonic", {"bonds": [[0, 0]]}, "pairs of different atoms"),
        ("harmonic", {"bonds": "0-1"}, "pairs of different atoms"),
        ("harmonic", {"device": "cuda"}, "computes on the cpu"),
    ],
)
def test_an_option_that_cannot_be_is_refused_at_once(source, options, said):
    with pytest.raises(UserError, match=said):
        load_calculator(source, **options)


def test_a_checkpoint_has_no_options(checkpoint_path):
    with pytest.raises(UserError, match=r"unknown option of deepset-moe\.pt 'charge'"):
        load_calculator(checkpoint_path("deepset-moe"), charge=1)


# --- devices


def test_auto_takes_the_best_device_that_knows_the_precision(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto", "float32") == torch.device("mps")
    assert choose_device("auto", "float64") == torch.device("cpu")  # mps has no float64
    with pytest.raises(UserError, match="cannot compute in float64"):
        choose_device("mps", "float64")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto", "float64") == torch.device("cuda")


def test_a_device_that_is_not_there_is_refused_with_its_cure(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="use cpu or auto"):
        choose_device("cuda")
    with pytest.raises(UserError, match="use cpu or auto"):
        choose_device("mps", "float32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="has cuda:0 to cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda0", "cpu:x", "", "xpu"])
def test_a_device_of_no_such_name_is_refused(name):
    with pytest.raises(UserError):
        choose_device(name)


# --- nothing of the process is changed


def test_importing_the_package_imports_neither_torch_nor_ase():
    report = run_fresh("""
        import json, sys
        import gmd26_md, gmd26_md.calculators
        from gmd26_md.calculators import families
        print(json.dumps({"loaded": [m for m in ("torch", "ase", "mace", "schnetpack", "tblite") if m in sys.modules],
                          "families": families.family_names(), "names": gmd26_md.__all__}))
    """)
    assert report["loaded"] == []
    assert {"deepset-moe", "mace", "painn", "schnet"} <= set(report["families"])
    import gmd26_md

    assert all(getattr(gmd26_md, name) is not None for name in report["names"])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gmd26_md.nothing


@pytest.mark.slow
def test_building_and_using_models_leaves_the_process_as_it_was(checkpoint_path):
    paths = [str(checkpoint_path(family)) for family in ("mace", "painn")]
    report = run_fresh(f"""
        import json, os, random, sys
        import numpy as np, torch
        from ase.build import molecule

        def safe_classes():  # torch's own modules add themselves when torch imports them, which is torch's affair
            safe = torch.serialization.get_safe_globals()
            return sorted(str(c) for c in safe if not c.__module__.startswith("torch"))

        def state():
            return dict(
                environment=dict(os.environ), dtype=str(torch.get_default_dtype()),
                torch_stream=torch.get_rng_state().tolist(), numpy_stream=str(np.random.get_state()),
                python_stream=str(random.getstate()), threads=torch.get_num_threads(),
                interop_threads=torch.get_num_interop_threads(), gradients=torch.is_grad_enabled(),
                safe=safe_classes(), deterministic=torch.are_deterministic_algorithms_enabled(),
            )

        before = state()
        from gmd26_md import load_calculator
        for path in {paths!r}:
            for dtype in ("float64", "float32"):
                calculator = load_calculator(path, device="cpu", dtype=dtype)
                calculator.get_property("forces", molecule("CH3COOH"))
        after = state()
        print(json.dumps({{"changed": [name for name in before if before[name] != after[name]],
                          "vendors": [m for m in ("mace", "schnetpack") if m in sys.modules]}}))
    """)
    assert report["vendors"] == ["mace", "schnetpack"], "if this fails, no vendor came in and the test shows nothing"
    assert report["changed"] == []


def test_gfn2_leaves_the_process_as_it_was_and_prints_nothing():
    report = run_fresh("""
        import json, os
        from ase.build import molecule
        before = dict(os.environ)
        from gmd26_md import load_calculator
        from ase.calculators.calculator import CalculationFailed
        load_calculator("gfn2-xtb").get_property("forces", molecule("CH4"))
        try:
            load_calculator("gfn2-xtb", max_iterations=1).get_property("forces", molecule("CH4"))
        except CalculationFailed as error:
            print(json.dumps({"same": before == dict(os.environ), "said": str(error)}))
    """)
    assert report["same"]
    assert "not converged" in report["said"]


def test_what_happens_inside_contained_stays_there(monkeypatch):
    monkeypatch.setenv("GMD26_MD_TEST_CHANGED", "before")
    monkeypatch.setenv("GMD26_MD_TEST_REMOVED", "before")
    stream, dtype = torch.get_rng_state(), torch.get_default_dtype()

    def misbehave():
        os.environ["GMD26_MD_TEST_CHANGED"] = "after"
        os.environ["GMD26_MD_TEST_NEW"] = "after"
        del os.environ["GMD26_MD_TEST_REMOVED"]
        torch.set_default_dtype(torch.float64)
        torch.rand(3)
        raise RuntimeError("the block failed")

    with pytest.raises(RuntimeError, match="the block failed"), contained():
        misbehave()
    assert os.environ["GMD26_MD_TEST_CHANGED"] == "before"
    assert os.environ["GMD26_MD_TEST_REMOVED"] == "before"
    assert "GMD26_MD_TEST_NEW" not in os.environ
    assert torch.get_default_dtype() == dtype
    assert torch.equal(torch.get_rng_state(), stream)
