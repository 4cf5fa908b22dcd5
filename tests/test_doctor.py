"""`lpcv doctor`: each thing that can be missing is named, with what helps, and the exit code tells."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_fixtures import S24, Served
from hub_front import own_place
from lpcv.cli import run
from lpcv.hub_jobs import doctor

Findings = dict[str, tuple[str, str, str]]
Examine = Callable[..., tuple[int, Findings]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served") / "root") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with own_place(tmp_path):
        yield tmp_path


@pytest.fixture
def examine(served: Served, place: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """(ini, words) -> exit code, and what -> (state, found, remedy). The token is in nothing that was said."""

    def examine(ini: Path | None = served.ini, *words: str) -> tuple[int, Findings]:
        hub = ["--hub", str(ini)] if ini else []
        told = place / "found.json"
        code = run(["doctor", *hub, *words, "--json", str(told)])
        said = "".join(capsys.readouterr())
        found = {each["what"]: (each["state"], each["found"], each["remedy"]) for each in json.loads(told.read_text())}
        assert served.token not in said + told.read_text()
        for what, (state, *_) in found.items():
            assert what in said
            assert state in ("ok", "note", "fail")
        assert code == int(any(state == "fail" for state, *_ in found.values()))
        assert ("when what failed is mended" in said) == (code == 1)
        return code, found

    return examine


def changed(served: Served, place: Path, **fields: str) -> Path:
    """The stand-in's configuration with other values."""
    lines = served.ini.read_text().splitlines()
    ini = place / "changed.ini"
    ini.write_text("\n".join(next((f"{key} = {fields[key]}" for key in fields if line.startswith(key)), line)
                             for line in lines))  # fmt: skip
    return ini


def test_everything_is_there(examine: Examine, served: Served, place: Path) -> None:
    code, found = examine()
    assert code == 0
    assert list(found) == [
        "Python", "lpcv", "torch", "client", "datasets", "stand-in", "NPU emulator", "disk", "configuration", "token",
        "service", "server", "device",
    ]  # fmt: skip
    assert found["Python"][1].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found["client"][:2] == ("ok", f"qai-hub {version('qai-hub')}")
    assert found["configuration"][1] == str(served.ini)
    assert found["token"][1] == "present, not shown"
    assert found["service"][:2] == ("note", "a stand-in: its numbers say nothing of a device")
    assert found["server"][1] == f"the stand-in at {served.url} answers and knows the token"
    assert found["device"][1] == "Samsung Galaxy S24 (Family), system 14"
    assert not (place / "hub").exists()  # looking leaves nothing behind


def test_the_clients_own_places_are_looked_at(
    examine: Examine, served: Served, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = examine(None)
    assert code == 1
    missing = place / "home" / ".qai_hub" / "client.ini"
    assert found["configuration"][:2] == ("fail", f"There is no AI Hub configuration at {missing}.")
    assert found["token"] == ("fail", "missing", "")
    assert "qai-hub configure --api_token TOKEN" in found["configuration"][2]
    assert "server" not in found  # nobody to ask
    monkeypatch.setenv("QAIHUB_CLIENT_INI", str(served.ini))
    assert examine(None)[0] == 0
    monkeypatch.delenv("QAIHUB_CLIENT_INI")
    missing.parent.mkdir()
    missing.write_text(served.ini.read_text())
    assert examine(None)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "", "\0\0", "api_token = x\n", "[api\n", "[api]\napi_token\n", "[api]\napi_token = TOKEN\napi_url = http://x/\n",
        "[api]\napi_token = TOKEN\napi_url = ftp://x/\nweb_url = http://x/\n",
        "[api]\napi_token = TOKEN\napi_url = http://[x/\nweb_url = http://x/\n",
        "[api]\napi_token = TOKEN\napi_url = http://x:port/\nweb_url = http://x/\n",
        "[api]\napi_token = TOKEN and\napi_url = http://x/\nweb_url = http://x/\n",
        "[api]\napi_token = TOKEN\u2013\napi_url = http://x/\nweb_url = http://x/\n",
        "[api]\napi_token = TOKEN\napi_token = TOKEN\napi_url = http://x/\nweb_url = http://x/\n", "\udcff\udcfe",
    ],
)  # fmt: skip
def test_a_garbled_configuration(text: str, examine: Examine, served: Served, place: Path) -> None:
    ini = place / "garbled.ini"
    ini.write_bytes(text.replace("TOKEN", served.token).encode("utf-8", "surrogateescape"))
    code, found = examine(ini)
    assert code == 1
    state, problem, remedy = found["configuration"]
    assert (state, str(ini) in problem) == ("fail", True)
    assert remedy == f"`QAIHUB_CLIENT_INI={ini} qai-hub configure --api_token TOKEN` writes it anew."
    state, said, _ = found["token"]
    assert (state, said) == (("ok", "present, not shown") if "api_token = TOKEN" in text and text[0] == "[" else
                             ("fail", "missing"))  # fmt: skip


def test_a_folder_is_no_configuration(examine: Examine, place: Path) -> None:
    (place / "folder.ini").mkdir()
    assert examine(place / "folder.ini")[1]["configuration"][0] == "fail"


def test_no_client(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        if package == "qai-hub":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(doctor, "version", absent)
    monkeypatch.setitem(sys.modules, "qai_hub", None)  # what Python then says to `import qai_hub`
    code, found = examine()
    assert code == 1
    assert found["client"] == ("fail", "qai-hub is not installed", "`pip install 'lpcv[hub]'`")
    assert found["server"][:2] == ("fail", "Qualcomm AI Hub's client is not installed.")


@pytest.mark.parametrize(
    ("package", "what", "hub", "state"),
    [
        ("h5py", "datasets", [], "fail"),
        ("uvicorn", "stand-in", [], "note"),
        ("starlette", "stand-in", ["local"], "fail"),
    ],
)
def test_a_part_of_the_extra_is_missing(
    package: str, what: str, hub: list[str], state: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(wanted: str) -> str:
        if wanted == package:
            raise PackageNotFoundError(wanted)
        return version(wanted)

    monkeypatch.setattr(doctor, "version", absent)
    if hub:
        monkeypatch.setitem(sys.modules, package, None)
    code, found = examine(None, "--hub", "local") if hub else examine()
    assert code == int(state == "fail")
    assert found[what][0] == state
    assert found[what][1].startswith(f"{package} is not installed; ")
    assert found[what][2] == "`pip install 'lpcv[hub]'`"
    if hub:
        assert found["server"][1:] == (
            f"The stand-in needs {package}, which is not installed here.", "Run `pip install 'lpcv[hub]'`."
        )  # fmt: skip


@pytest.mark.parametrize("there", ["0.57.1", "0.560.0", "1.0"])
def test_another_client(there: str, examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda package: there if package == "qai-hub" else version(package))
    code, found = examine()
    assert code == 0  # a note stops nobody
    assert found["client"] == ("note", f"qai-hub {there}", "lpcv was tried with 0.56 only.")


def test_no_torch_is_no_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        if package == "torch":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(doctor, "version", absent)
    code, found = examine()
    assert code == 0
    assert found["torch"][:2] == ("note", "not installed")
    assert "pip install torch torchvision" in found["torch"][2]


def test_nobody_listens(examine: Examine, served: Served, place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # taken, but not listening
        port = taken.getsockname()[1]
        code, found = examine(changed(served, place, api_url=f"http://127.0.0.1:{port}/"))
    assert code == 1
    state, problem, remedy = found["server"]
    assert state == "fail"
    assert problem.startswith(f"the stand-in at http://127.0.0.1:{port}/ cannot be reached (")
    assert "refused" in problem
    assert "0x" not in problem  # no object's address in memory
    assert "Type the same command again later" in remedy
    assert "rehearses without it" not in remedy  # it is what rehearses
    assert "device" not in found


def test_a_wrong_token(examine: Examine, served: Served, place: Path) -> None:
    wrong = "lpcv-wrong-token-9c31"
    ini = changed(served, place, api_token=wrong)
    code, found = examine(ini)
    assert code == 1
    state, problem, remedy = found["server"]
    assert (state, problem) == ("fail", f"the stand-in at {served.url} does not accept the token of {ini}.")
    assert "A stand-in writes its client.ini at each start" in remedy
    assert wrong not in json.dumps(found)


def test_an_unknown_device(examine: Examine, served: Served) -> None:
    code, found = examine(served.ini, "--device", "Galaxy S24")
    assert code == 1
    assert found["server"][0] == "ok"
    state, problem, remedy = found["device"]
    assert (state, problem) == ("fail", "There is no device 'Galaxy S24'.")
    assert S24 in remedy
    assert examine(served.ini, "--device", S24)[1]["device"][1] == f"{S24}, system 14"


def test_little_disk(examine: Examine, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=1.25e9))
    code, found = examine()
    assert code == 0
    assert found["disk"] == (
        "note", f"1.2 GB free at {place / 'hub'}", "A whole test set may take more: free some."
    )  # fmt: skip


def test_the_stand_in_on_demand(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--hub", "local"]) == 0
    out, err = capsys.readouterr()
    assert "the stand-in's own" in out
    assert "Next: lpcv compile RUN --device NAME --hub local" in err
    token = json.loads((place / "hub" / "stand-in" / "identity.json").read_text())["token"]
    assert token not in out + err
