"""Progress as it is seen: a bar that moves on a terminal and leaves nothing behind, and nothing of it in a pipe."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections import Counter

import pytest

from gmd26_md.commands.progress import bar
from gmd26_md.dynamics.engine import Progress
from gmd26_md.evaluate.common import judgements, part
from gmd26_md.evaluate.standing import Standing
from gmd26_md.pace import Pace, duration, left_words
from gmd26_md.records import Record

CHILD = """
import sys, time
from gmd26_md.commands.progress import bar
print("before", flush=True)
with bar("stability, [painn]", **{options}) as show:
    for i in range(1, 11):
        show(i / 10, f"step {{i}} of 10; so far faithful {{i}}; " + "long " * 30)
        time.sleep(0.12)
print("after", flush=True)
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-9]|9[0-7]|38|48)[0-9;]*m")


def child(**options):
    return [sys.executable, "-c", CHILD.format(options=options)]


def on_a_terminal(command, *, columns=80, **environment):
    """Return what a terminal was sent by a command."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")}
    asked = clean | {"TERM": "xterm"} | environment
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=asked) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not more:
                break
            sent += more
    os.close(ours)
    assert process.returncode == 0, sent.decode()
    return sent.decode()


def screen(sent):
    """Return the lines that a terminal shows at the end, and the widest it ever showed; knows what rich sends."""
    lines, row, column, widest = [""], 0, 0, 0
    for code in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", sent):
        if code == "\r":
            column = 0
        elif code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code.startswith("\x1b"):
            if code.endswith("A"):
                row -= int(code[2:-1] or 1)
            elif code.endswith("K"):
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + code + lines[row][column + len(code) :]
            column += len(code)
            widest = max(widest, len(lines[row].rstrip()))
    return [line.rstrip() for line in lines if line.strip()], widest


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_a_bar_moves_within_the_terminal_and_leaves_nothing_behind(columns):
    sent = on_a_terminal(child(), columns=columns)
    seen = set(re.findall(r"(\d+)%", sent))
    assert len(seen) >= 2, seen  # drawn four times a second for 1.2 s, if the machine is not busy
    assert "stability, [painn]" in sent
    assert "so far faithful" in sent
    assert COLOUR.search(sent)
    lines, widest = screen(sent)
    assert lines == ["before", "after"]
    assert widest <= columns


def test_no_color_is_heard():
    sent = on_a_terminal(child(), NO_COLOR="1")
    assert "%" in sent
    assert not COLOUR.search(sent)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    sent = on_a_terminal(child(line_every_s=0.0), TERM="dumb")
    assert "\x1b" not in sent
    assert "stability, [painn]: 50%, step 5 of 10" in sent


@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}])
def test_nothing_of_a_bar_is_left_in_pipes(forced):
    environment = os.environ | {"TERM": "xterm"} | forced
    done = subprocess.run(child(), capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "before\nafter\n"
    assert done.stderr == ""


def test_a_log_file_gets_plain_lines_now_and_then():
    done = subprocess.run(child(line_every_s=0.5), capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 3  # in 1.2 s, however slow the machine is with a step
    assert re.match(r"stability, \[painn\]: \d+0%, step \d+ of 10; so far faithful \d+; long", lines[0])
    assert done.stdout == "before\nafter\n"


def test_silent_is_silent_everywhere():
    assert screen(on_a_terminal(child(silent=True)))[0] == ["before", "after"]
    assert subprocess.run(child(silent=True, line_every_s=0.0), capture_output=True, check=True).stderr == b""


def test_the_bar_is_the_same_to_call_where_nobody_sees_it(capsys):
    with bar("x", line_every_s=None) as show:
        show(0.5, "words")
    assert capsys.readouterr() == ("", "")


def test_the_pace_is_of_late_and_not_of_the_whole():
    pace = Pace(window_s=10.0)
    assert pace.at(0.0, 0) == 0.0
    assert [pace.at(float(t), 5 * t) for t in range(1, 21)][-1] == 5.0
    assert pace.at(25.0, 100) == pytest.approx((100 - 75) / 10)  # since 15 s, when 75 were done
    assert pace.at(60.0, 170) == pytest.approx(70 / 35)  # one point older than the window is kept
    assert pace.at(61.0, 3) == 0.0  # another piece of work
    assert pace.at(63.0, 5) == 1.0


def test_lengths_of_time_are_told_in_words():
    assert [duration(s) for s in (4.4, 89.0, 600.0, 7200.0)] == ["4 s", "89 s", "10 min", "2.0 h"]
    assert left_words(600.0, 1.0) == ", 10 min left"
    assert left_words(600.0, 0.0) == ""


def record(molecule, verdict, seed=0, protocol="stability", reason=""):
    return Record(
        model="m", model_sha256="0", family="f", molecule=molecule, formula="H2", split="id", task="t",
        protocol=protocol, settings={}, seed=seed, verdict=verdict, reason=reason,
    )  # fmt: skip


def test_a_batch_says_who_is_alive_how_fast_it_is_and_what_came_out():
    standing = Standing.of(["a", "a", "b"], [record("c", "broken"), record("c", "error", protocol="relaxation")])
    assert standing.fraction == 0.0
    standing.told(Progress(400, 1000, 2, 1, 4, 60.0, 100.0, n_stopped=1, n_failing=1))
    words = standing.words(8, 20)
    for told in (
        "2 of 4 runs move (1 of them failing), 1 done (1 died), 1 wait",
        "100 molecule-steps/s, 6 s left",
        "labels 8 of 20",
        "judged 0 of 3 runs, 0 of 2 molecules",
        "so far broken 1",
    ):
        assert told in words
    before = standing.fraction
    assert before == pytest.approx(0.95 * 0.4)
    standing.judged(record("b", "silent", seed=2))
    words = standing.words(0, 0)
    assert "judging the runs that have ended" in words
    assert "labels" not in words
    assert "judged 1 of 3 runs, 1 of 2 molecules; so far silent 1, broken 1; last b, seed 2: silent" in words
    assert standing.fraction > before
    standing.told(Progress(1000, 1000, 0, 3, 3, 60.0, 0.0))
    for seed in range(2):
        standing.judged(record("a", "faithful", seed=seed))
    assert standing.fraction == pytest.approx(1.0)
    assert standing.verdicts == Counter(faithful=2, silent=1, broken=1)


def test_the_parts_of_a_long_work_say_which_they_are_and_what_came_out_so_far():
    told = []
    records = [record("a", None, protocol="scan", reason=r) for r in ("rough: 3 meV", "follows: fine", "follows: too")]
    show = part(lambda fraction, words: told.append((fraction, words)), 1, 4, judgements(records, "scan"))
    show(0.5, "scanning a")
    assert told == [(0.375, "batch 2 of 4, scanning a; so far follows 2, rough 1")]
    part(lambda fraction, words: told.append((fraction, words)), 0, 1)(0.5, "scanning a")
    assert told[-1] == (0.5, "scanning a")
