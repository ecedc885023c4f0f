"""`gmd26-md report` as it is used."""

import json

from tests.page.page_records import folder_of, run_of


def test_a_page_and_its_figures_are_made(cli, run_folders, tmp_path):
    code, out, err = cli(
        "report", *run_folders, "-o", tmp_path / "page.html", "--figures", tmp_path / "figures", "--format", "svg"
    )
    assert (code, err) == (0, "")
    assert "7 records" in out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "figures" / "duplication-survival.svg").is_file()


def test_json_tells_what_was_made(cli, run_folders, tmp_path):
    code, out, _ = cli("report", run_folders[1], "-o", tmp_path, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["page"] == str(tmp_path / "report.html")
    assert told["bytes"] < 10e6
    assert told["tasks"] == ["duplication"]


def test_mistakes_are_answered_in_a_line(cli, tmp_path):
    code, _, err = cli("report", tmp_path / "nowhere")
    assert code == 2
    assert err == f"error: {tmp_path / 'nowhere'} has no records; give a run folder, as a command printed it last.\n"
    folder = folder_of(tmp_path / "run", [run_of("ethanoic acid", "faithful")])
    code, _, err = cli("report", folder, "-o", tmp_path / "p.html", "--figures", tmp_path, "--format", "jpg")
    assert code == 2
    assert "unknown format of figures" in err
    assert not (tmp_path / "p.html").exists()
