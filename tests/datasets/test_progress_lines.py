"""Progress in a log file: a line now and then on the standard error, and nothing for a short run."""

from gmd26_md.commands.progress import LINE_EVERY_S, bar, generation_bar, verification_bar
from gmd26_md.datasets.generate import GenerationProgress


def test_a_line_says_how_far_it_is(capsys):
    with bar("reference data", line_every_s=0.0) as show:
        show(0.25, "3/12 molecules, 2.1 h left")
        show(0.5, "6/12 molecules, 1.4 h left")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("reference data: 25%, 3/12 molecules, 2.1 h left\nreference data: 50%, 6/12 molecules, 1.4 h left\n")


def test_what_is_over_before_the_first_line_is_silent(capsys):
    assert 60.0 <= LINE_EVERY_S <= 300.0
    with generation_bar() as show:
        show(GenerationProgress(0.5, 60.0, 1, 2, ("ethane",)))
    with verification_bar() as show_verified:
        show_verified(1, 2, 60.0)
    with bar("training") as show_nothing:
        show_nothing(0.5, "words")
    with bar("quiet", silent=True, line_every_s=0.0) as show_quiet:
        show_quiet(0.5, "words")
    assert capsys.readouterr() == ("", "")
