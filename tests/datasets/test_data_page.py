"""The example of docs/data.md runs as it stands there."""

import re
import shutil
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def test_the_example_opens_reference_data_with_ase(untouched_data, tmp_path, monkeypatch, capsys):
    shutil.copytree(untouched_data, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(code, str(PAGE), "exec"), {})
    n_frames, time_fs, energy_eV, *shape = capsys.readouterr().out.split()
    assert (n_frames, time_fs, " ".join(shape)) == ("3", "0.0", "(8, 3)")
    assert -210 < float(energy_eV) < -190  # GFN2-xTB says -199 eV of ethane
