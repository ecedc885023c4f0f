"""What the README promises in one line to paste, and numbers that stand both in a page and in the code.

Commands, Python and links of all pages: `tests/docs`.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
VENV = "python -m venv .venv && . .venv/bin/activate && "
VERDICT = VENV + "pip install . && gmd26-md stability --model checkpoints/deepset-moe-duplication.pt"
TESTS = VENV + "pip install '.[test]' && pytest"


def blocks(page, language):
    """Return the contents of a page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_two_commands_stand_in_the_readme_one_line_to_paste_each():
    lines = "".join(blocks(README, "sh")).splitlines()
    assert VERDICT in lines
    assert TESTS in lines


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    asked = re.search(r'grep -m 1 -F "(.*)" README.md', script).group(1)
    assert [line for line in README.read_text(encoding="utf-8").splitlines() if asked in line] == [TESTS]
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


def test_the_presets_in_the_page_are_the_presets():
    from gmd26_md.protocols.stability import PRESETS

    page = (ROOT / "docs" / "protocols" / "stability.md").read_text(encoding="utf-8")
    for name, s in PRESETS.items():
        row = f"| {name} | {s.thermalise_ps:g} ps | {s.run_ps:g} ps | {s.n_seeds} | {s.n_label_frames} |"
        assert row in page


def test_the_limits_in_the_page_are_the_limits():
    from gmd26_md.observables.verdict import Thresholds

    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    t = Thresholds()
    for words in (
        f"{t.temperature_max_ratio:g} times the target, never under {t.temperature_floor_K:g} K",
        f"{t.drift_max_meV_per_atom_per_ps:g} meV/atom/ps; {t.energy_rms_max_meV_per_atom:g} meV/atom; "
        f"{t.energy_change_max_meV_per_atom:g} meV/atom",
        f"{t.force_ratio_max:g}; {t.true_energy_change_max_meV_per_atom:g} meV/atom",
    ):
        assert words in page
