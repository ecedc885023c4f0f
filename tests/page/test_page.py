"""The page as a whole: true when pieces are missing, safe whatever names are, whole when there is too much."""

import base64
import gzip
import json
import math
from html.parser import HTMLParser

import pytest

from gmd26_md.errors import UserError
from gmd26_md.page import write
from gmd26_md.page.sources import gather
from gmd26_md.report.repeat import model_at_hand
from tests.page.page_records import FINE, folder_of, run_of, static_of

VOID = {"meta", "br", "img", "input", "hr", "link"}
NASTY = "a</script><script>alert(1)</script><b onclick='x'>&\"'`${1}"


class Read(HTMLParser):
    """Collects tags, visible text, anchors, and data by id; notes what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.own, self.ids, self.links, self.data, self.open = [], [], [], [], [], {}, []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        assert not [name for name in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append((tag, attrs.get("id")))

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tag, name = self.open[-1] if self.open else ("", None)
        if tag == "script" and name:
            self.data[name] = data
        elif tag not in ("script", "style"):
            self.text.append(data)
            self.own += [data] if tag != "pre" else []

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())

    @property
    def words_without_quotes(self):
        """The page's own words, without those of the reasoning, where a number that is none is told as it is."""
        return " ".join(" ".join(self.own).split()).lower()

    def unpacked(self, name):
        return json.loads(gzip.decompress(base64.b64decode(self.data[name])))


def page_of(*folders, **options):
    page = write.made(gather(folders), model_at_hand)
    return Read(write.text_of(page, **options))


def test_the_page_answers_links_and_carries_what_its_figures_need(run_folders):
    read = page_of(*run_folders)
    assert "silently wrong on the one dicarboxylic acid" in read.words or "silently wrong on 1 of 1" in read.words
    assert len(read.ids) == len(set(read.ids))
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert not [link for link in read.links if not link.startswith("#")]  # nothing leads out of the page
    figures = read.unpacked("figures-0-data")
    assert {"duplication-survival", "duplication-drift", "duplication-force-parity"} <= {f["name"] for f in figures}
    oxalic = read.unpacked("molecule-0-1-data")
    assert oxalic["frames"][0]["marked"] == [0, 1]
    assert oxalic["figures"][0]["name"] == "duplication-ethanedioic-acid-in-time"
    assert "gmd26-md stability --model" in read.words
    assert "To run it again" in read.words


def test_the_page_is_the_same_each_time(run_folders):
    assert write.text_of(write.made(gather(run_folders), model_at_hand)) == write.text_of(
        write.made(gather(run_folders), model_at_hand)
    )


def test_nothing_is_loaded_from_elsewhere(run_folders):
    text = write.text_of(write.made(gather(run_folders), model_at_hand))
    assert " src=" not in text
    assert "<link" not in text
    assert "default-src 'none'" in text


def test_markup_in_names_is_text_everywhere(tmp_path):
    run = run_of(NASTY, "silent", model=NASTY, split="ood")
    nasty = type(run)(
        **{**vars(run), "reason": NASTY, "task": NASTY, "family": NASTY, "device": NASTY, "formula": NASTY}
    )
    folder = folder_of(tmp_path / "run", [nasty, type(run)(**{**vars(nasty), "protocol": "scan", "verdict": None})])
    plain = page_of(folder_of(tmp_path / "plain", [run_of("ethanedioic acid", "silent")]))
    read = page_of(folder, title=NASTY)
    assert read.tags.count("script") <= plain.tags.count("script") + 1
    assert read.words.count("alert(1)") > 5  # shown as it is written
    for name in read.data:
        assert "<" not in read.data[name]


@pytest.mark.parametrize(
    "records",
    [
        [static_of("ethanoic acid"), static_of("ethanedioic acid")],
        [run_of("ethanedioic acid", "exploded", seed, metrics=dict.fromkeys(FINE)) for seed in (0, 1)],
        [run_of("ethanedioic acid", "unsupported", metrics={}, evidence={"along": None})],
        [type(static_of("x"))(**{**vars(run_of("ethanedioic acid", "error")), "metrics": {}, "evidence": {}})],
        [run_of("ethanedioic acid", "silent", metrics=dict.fromkeys(FINE, math.nan))],
        [run_of("my molecule", "faithful", split="user", task="user")],
        [type(static_of("x"))(**{**vars(static_of("ethanoic acid")), "metrics": {}})],
        [run_of("ethanedioic acid", "censored", evidence={"along": {"time_ps": [0.5], "force_mae_eV_per_A": [None]}})],
    ],
    ids=["static", "all-failed", "unsupported", "error", "nan", "own", "nothing", "censored"],
)  # fmt: skip
def test_records_with_missing_pieces_give_a_true_page(tmp_path, records):
    read = page_of(folder_of(tmp_path / "run", records))
    for verdict in {r.verdict for r in records if r.verdict}:
        assert f"{verdict} {len(records)}" in read.words
    if records[0].verdict is None:
        assert "No runs of its own to judge" in read.words
    assert "nan" not in read.words_without_quotes.split()


def test_frames_that_were_deleted_are_not_offered(tmp_path):
    folder = folder_of(tmp_path / "run", [run_of("ethanoic acid", "faithful", trajectory="trajectories/a.extxyz")])
    assert "trajectories/a.extxyz, which is gone (trajectory)" in page_of(folder).words
    (folder / "trajectories").mkdir()
    (folder / "trajectories" / "a.extxyz").write_text("2\n")
    assert "which is gone" not in page_of(folder).words


def test_a_killed_run_is_told_and_its_missing_runs_are_not_counted(tmp_path):
    asked = {"protocol": "stability", "molecules": {"ethanoic-acid": "", "ethanedioic-acid": ""},
             "settings": {"stability": [{"n_seeds": 3}]}}  # fmt: skip
    folder = folder_of(tmp_path / "run", [run_of("ethanoic acid", "faithful")], asked=asked)
    read = page_of(folder)
    assert f"{folder} is not finished: 1 of 6 runs have a record, and 1 of 2 molecules have none." in read.words
    empty = folder_of(tmp_path / "empty", [], asked=asked)
    assert "0 of 6 runs" in page_of(folder, empty).words
    with pytest.raises(UserError, match="has a record yet"):
        gather([empty])


def test_of_a_run_given_twice_the_first_counts(tmp_path):
    first = folder_of(tmp_path / "1", [run_of("ethanoic acid", "faithful")])
    second = folder_of(tmp_path / "2", [run_of("ethanoic acid", "faithful")])
    assert "1 records were given twice" in page_of(first, second).words


def test_molecules_of_ones_own_that_share_a_name_are_said(tmp_path):
    runs = [run_of("mine", "faithful", split="user", task="user", structure_sha256=sha) for sha in "ab"]
    assert "mine is the name of 2 structures" in page_of(folder_of(tmp_path / "run", runs)).words


def test_too_many_runs_are_summarised_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "MAX_RUNS", 2)
    runs = [run_of("ethanedioic acid", "broken" if seed == 3 else "faithful", seed) for seed in range(6)]
    read = page_of(folder_of(tmp_path / "run", runs))
    assert "2 of 6 runs are shown one by one" in read.words
    assert "broken 1" in read.words  # all of them count
    assert "faithful 5" in read.words


def test_two_tasks_stand_one_after_the_other(tmp_path):
    runs = [run_of("ethanoic acid", "faithful"), run_of("ethanol", "faithful", task="fission", split="ood")]
    read = page_of(folder_of(tmp_path / "run", runs))
    assert {"answers-0", "answers-1", "molecule-0-0", "molecule-1-0"} <= set(read.ids)
