"""Tables in every form: text that fits, LaTeX that compiles to what is meant, CSV that reads back."""

import csv
import io

import pytest

from gmd26_md.report import forms, latex

ROWS = [
    ["model", "F MAE, eV/Å, OOD", "faithful, %", "verdicts, OOD"],
    ["a_b (mace)", "0.0292 ± 0.0012", "-3", "faithful 17, silent 13, exploded 6"],
    ["50% | {x}", "-", "-", "-"],
]


def test_text_is_one_line_a_row_where_no_width_is_asked():
    lines = forms.written(ROWS, "text").splitlines()
    assert len(lines) == 3
    assert lines[1].split("  ")[0] == "a_b (mace)"
    assert lines[0].endswith("verdicts, OOD")
    assert len(lines[0]) == len(lines[1])


@pytest.mark.parametrize("width", [40, 60, 80])
def test_text_fits_the_width_and_loses_no_cell(width):
    text = forms.written(ROWS, "text", width=width)
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for row in ROWS:
        for cell in row:
            assert cell == "-" or all(word in words for word in cell.split()), cell
    assert text.count("a_b (mace)") == (1 if width == 80 else 2)  # each part begins with what the row is


def test_a_later_part_of_a_cut_table_leaves_out_rows_with_nothing_in_it():
    rows = [["model", "first" * 6, "second" * 6], ["one", "1", "-"], ["two", "-", "2"]]
    first, second = forms.written(rows, "text", width=40).split("\n\n")
    assert "one" in first
    assert "two" in first  # no row is lost, though all of it be empty
    assert "two" in second
    assert "one" not in second


def test_every_part_begins_with_all_the_keys():
    rows = [["level", "what", "x" * 20, "y" * 20], ["within", "mae", "1", "2"]]
    text = forms.written(rows, "text", width=45, n_keys=2)
    assert text.count("mae") == 2
    assert max(map(len, text.splitlines())) <= 45


def test_csv_reads_back_exactly():
    assert list(csv.reader(io.StringIO(forms.written(ROWS, "csv")))) == ROWS


def test_markdown_escapes_bars():
    assert forms.written(ROWS, "markdown").splitlines()[3].startswith(r"| 50% \| {x} |")


def test_latex_has_numbers_in_mathematics_and_text_escaped():
    lines = forms.written(ROWS, "latex").splitlines()
    assert lines[0] == latex.NEEDS
    assert lines[1] == r"\begin{tabular}{lrrr}"
    assert r"model & F MAE, eV/\AA{}, OOD & faithful, \% & verdicts, OOD \\" in lines
    assert r"a\_b (mace) & $0.0292 \pm 0.0012$ & $-3$ & faithful 17, silent 13, exploded 6 \\" in lines
    assert r"50\% $|$ \{x\} & -- & -- & -- \\" in lines


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("100 (from 78)", "100 (from 78)"),
        ("+0.87 to +0.9", "+0.87 to +0.9"),
        ("1.5e-05", "$1.5e-05$"),
        ("12.", "$12.$"),
        ("C1 & C2", r"C1 \& C2"),
        ("a\\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("one\n\ntwo", "one two"),  # an empty line would end the paragraph, and with it the table
        ("", ""),
    ],
)
def test_a_latex_cell_prints_what_the_text_says(text, meant):
    assert latex.cell(text) == meant


def test_a_row_that_begins_with_a_bracket_is_no_argument_of_the_line_before():
    assert "{}[yours] & $1$" in latex.tabular([["model", "n"], ["[yours]", "1"]])


def test_words_beside_a_table_are_lines_paragraphs_comments_or_nothing():
    words = ["One thing.", "Another, 5 %."]
    assert forms.said(words, "text") == "One thing.\nAnother, 5 %.\n"
    assert forms.said(words, "markdown") == "One thing.\n\nAnother, 5 %.\n"
    assert forms.said(words, "latex") == "% One thing.\n% Another, 5 %.\n"
    assert forms.said(words, "csv") == ""
    assert forms.heading("Title", "markdown") == "## Title\n"
    assert forms.put_together(["a\n", "", "b\n"]) == "a\n\nb\n"
