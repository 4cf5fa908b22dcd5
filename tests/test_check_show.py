"""How the findings are shown: what failed first, then group by group, in a hundred columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from lpcv.submission.check.findings import GROUPS, Finding, State
from lpcv.submission.check.show import WIDTH, sections, show


def finding(name: str, state: State = "pass") -> Finding:
    return Finding(name, state, f"what {name} expects", f"what {name} is", f"Why {name}.", f"Mend {name}.")


def everything(*failing: str) -> list[Finding]:
    return [finding(name, "fail" if name in failing else "pass") for names in GROUPS.values() for name in names]


def test_what_failed_stands_first_and_nothing_twice() -> None:
    found = everything("no offset", "one file")
    shown = dict(sections(found))
    assert list(shown) == ["failed", *GROUPS]
    assert [one.name for one in shown["failed"]] == ["one file", "no offset"]
    assert sorted(one.name for members in shown.values() for one in members) == sorted(one.name for one in found)
    assert "one file" not in [one.name for one in shown["contract"]]


def test_without_a_failure_or_of_an_unknown_name() -> None:
    assert list(dict(sections(everything()))) == list(GROUPS)
    assert list(dict(sections([finding("something new")]))) == ["other"]


def test_the_table_in_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show(everything("no offset"), Path("runs/mine"), Path("val"), Path("f.json"))
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    names = [line.split()[0] if line.strip() else "" for line in lines]
    assert names.index("failed") < names.index("contract") < names.index("meaning") < names.index("licences")
    first = next(line for line in lines if "no offset" in line)
    assert lines.index(first) == names.index("failed") + 1
    assert "FAILED no offset: expected what no offset expects" in told.err
    assert "Written to f.json." in told.err
    assert "--json" not in told.err
    assert "41 findings: 40 pass, 1 fail, 0 undecided" in told.err
    assert "Next:" not in told.err


def test_an_estimate_stands_beside_a_measurement_never_below(capsys: pytest.CaptureFixture[str]) -> None:
    show([finding("latency, estimated"), finding("latency, measured")], Path("m.onnx"), None, None)
    told = capsys.readouterr()
    (heading,) = (line for line in told.out.splitlines() if "latency, estimated" in line and "what" not in line)
    assert "latency, measured" in heading
    (found,) = (line for line in told.out.splitlines() if line.strip().startswith("found"))
    assert found.index("what latency, measured is") == heading.index("latency, measured")


def test_what_comes_next_is_the_score_or_where_meaning_was_not_judged_the_check_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(everything(), Path("m.onnx"), Path("val"))
    assert "Next: lpcv score m.onnx --data val" in capsys.readouterr().err
    show(everything(), Path("m.tflite"), Path("val"))
    assert "Next:" not in capsys.readouterr().err
    show(
        [finding(one.name, "undecided") if one.group == "meaning" else one for one in everything()],
        Path("m.onnx"),
        None,
    )
    told = capsys.readouterr().err
    assert "What the output means was not judged" in told
    assert "Next: lpcv check m.onnx --data DIR" in told


def test_square_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show([Finding("input shape", "fail", "[red]", "[/]", "why", "how")], Path("m.onnx"), None, None)
    assert "[red]" in capsys.readouterr().out
