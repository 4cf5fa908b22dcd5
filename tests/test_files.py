"""Writing is whole or absent; errors are sentences."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from lpcv import cli, files
from lpcv.errors import InputError, UnknownNameError


def test_written_whole(tmp_path: Path) -> None:
    files.write_json(tmp_path / "new" / "a.json", {"x": [1, 2]})
    assert files.read_json(tmp_path / "new" / "a.json") == {"x": [1, 2]}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_fault_at_any_step_keeps_the_old_file(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, name = {"write": (Path, "write_bytes"), "fsync": (files.os, "fsync"), "rename": (Path, "replace")}[step]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(OSError, match="No space"):
        files.write_text(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_full_disk_is_a_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "contract.json")

    monkeypatch.setattr(files.os, "fsync", full)
    assert cli.run(["contract", "--json", str(tmp_path / "contract.json")]) == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert "Free some space" in told
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00"])
def test_damaged_json_names_the_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json"):
        files.read_json(tmp_path / "a.json")


def test_hash_of_files_depends_on_names_and_contents(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / name).write_bytes(content)
    both = files.sha256_files(tmp_path, tmp_path.iterdir())
    assert both == files.sha256_files(tmp_path, sorted(tmp_path.iterdir(), reverse=True))
    (tmp_path / "b").rename(tmp_path / "c")
    assert files.sha256_files(tmp_path, tmp_path.iterdir()) != both


def test_nearest_name_is_suggested() -> None:
    assert "Did you mean 'laptop'?" in str(UnknownNameError("recipe", "labtop", ["laptop", "default"]))
    assert "Did you mean" not in str(UnknownNameError("recipe", "zzz", ["laptop"]))


def test_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["scoer"]) == 2
    assert "Did you mean 'score'?" in capsys.readouterr().err


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(InputError):
        cli.run(["--debug", "data", "check", "/nonexistent"])


def test_a_place_that_can_be_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    places = {"--json": tmp_path / "old.json", "--csv": tmp_path / "new" / "deep" / "a.csv", "--sheet": None}
    files.demand_writable(places, pictures=["--sheet"])
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_a_place_that_cannot_be_written_names_option_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.os.access
    monkeypatch.setattr(files.os, "access", lambda path, how: path != tmp_path and real(path, how))
    with pytest.raises(InputError, match=f"--json .*a.json cannot be written: you may not write into {tmp_path}."):
        files.demand_writable({"--json": tmp_path / "new" / "a.json"})


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"nowhere is no folder\."):
        files.demand_writable({"--json": tmp_path / "nowhere" / "a.json"})
    if hasattr(files.os, "mkfifo"):
        files.os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match=r"pipe is no plain file\."):
            files.demand_writable({"--json": tmp_path / "pipe"})


def test_one_place_for_two_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="--json and --csv both write to"):
        files.demand_writable({"--json": tmp_path / "a", "--csv": tmp_path / "link" / "a"})
