"""`evaluate.report`: one page that stands alone, tells the whole score, and shows where it was lost."""

from __future__ import annotations

import base64
import errno
import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import numpy.typing as npt
import pytest
from lpcv import files
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.data.pictures import Scale, signed_scale
from lpcv.data.resize import nearest
from lpcv.evaluate.breakdown import group_means
from lpcv.evaluate.official import GEOMETRY, OFFICIAL
from lpcv.evaluate.predictions import PredictionFolder
from lpcv.evaluate.protocol import Protocol
from lpcv.evaluate.protocols import named
from lpcv.evaluate.report import page as report_page
from lpcv.evaluate.report.charts import histogram
from lpcv.evaluate.report.page import write_report
from lpcv.evaluate.result import Score
from lpcv.evaluate.score import score_source
from lpcv.evaluate.statistics import METHOD

Array = npt.NDArray[Any]
HEIGHT, WIDTH = 12, 16
GREY, WHITE = (128, 128, 128), (255, 255, 255)
NASTY = """<b>&amp;"'<script>alert(1)<"""
# Predicted better and better from 10 on; 2 is stopped, 9 has a negative depth.
NAMES = ("9", "10", "2", NASTY)


def truth_m(index: int) -> Array:
    """(6, 8) float32, a slope; its left column is a hole, its last row is what nobody trusts."""
    slope_mm = np.linspace(1000 + 100 * index, 4000, 48).reshape(6, 8).astype(np.uint16)
    slope_mm[:, 0] = 0
    return slope_mm.astype(np.float32) / np.float32(1000)


def prediction(index: int) -> Array:
    """(12, 16) float32, the truth, worse with a lower index, the last one perfect at a quarter of the scale."""
    grown = nearest(truth_m(index), (WIDTH, HEIGHT))
    return (grown / 4) ** np.float32(1.0 + 0.4 * (len(NAMES) - 1 - index))


def levels(index: int) -> npt.NDArray[np.uint8]:
    trusted = np.full((6, 8), 0 if NAMES[index] == "2" else 2, np.uint8)
    trusted[-1] = 0
    return trusted


def write_data(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    (root / "predictions").mkdir(parents=True)
    for index, name in enumerate(names):
        rgb = np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        write_png(root / "data" / "image" / f"{name}.png", rgb)
        write_png(root / "data" / "depth_raw" / f"{name}.png", (truth_m(index) * 1000).round().astype(np.uint16))
        write_png(root / "data" / "depth_conf" / f"{name}.png", levels(index))
        predicted = prediction(index)
        predicted[5, 5] *= -1 if name == "9" else 1
        np.save(root / "predictions" / f"{name}.npy", predicted)
    return root


@dataclass(frozen=True)
class Scored:
    score: Score
    source: PredictionFolder
    frames: FrameFolder

    def write(self, folder: Path, most_rows: int = 24) -> str:
        return write_report(folder, self.score, self.source, self.frames, most_rows).read_text(encoding="utf-8")


def scored(root: Path, protocols: tuple[Protocol, ...] = (OFFICIAL, GEOMETRY), kind: str | None = None) -> Scored:
    frames = open_folder(root / "data", with_depth=True)
    source = PredictionFolder(root / "predictions", frames, kind)
    return Scored(score_source(source, frames, protocols), source, frames)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return scored(write_data(tmp_path_factory.mktemp("report")))


@pytest.fixture(scope="module")
def page(example: Scored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the example; read only."""
    return write_report(tmp_path_factory.mktemp("page"), *vars(example).values())


class Elements(HTMLParser):
    """Every element with its attributes and its own text; what is left open or closed twice is an error."""

    VOID = ("meta", "link", "img", "input", "line")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[int] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}, []))
        if tag not in self.VOID:
            self.open.append(len(self.found) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self.found[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.found[index][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str], str]]:
        """(attributes, text) of the elements; a class is asked for as `kind`."""
        wanted = {"class" if key == "kind" else key: value for key, value in attributes.items()}
        return [
            (given, " ".join("".join(text).split()))
            for name, given, text in self.found
            if name == tag and all(value in given.get(key, "").split() for key, value in wanted.items())
        ]


@pytest.fixture(scope="module")
def elements(page: Path) -> Elements:
    return Elements(page.read_text(encoding="utf-8"))


def pixels(uri: str) -> Array:
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def tiles(elements: Elements) -> dict[tuple[str, str], Array]:
    """(frame, title) -> pixels."""
    found = {}
    for given, _ in elements.all("img"):
        title, _, frame = given["alt"].partition(" of frame ")
        if frame:
            found[frame, title] = pixels(given["src"])
    return found


# The page stands alone


def test_nothing_is_referred_to_outside_the_page(page: Path, elements: Elements) -> None:
    for _, given, _ in elements.found:
        for key in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            assert given.get(key, "#").startswith(("#", "data:"))
        assert not [key for key in given if key.startswith("on") or key == "style"]
    text = page.read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?:", text)
    assert [path.name for path in page.parent.iterdir()] == ["index.html"]


def test_its_policy_allows_only_its_own_style_and_script(elements: Elements) -> None:
    (policy,) = [given["content"] for given, _ in elements.all("meta") if "http-equiv" in given]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag in ("style", "script"):
        ((_, _, text),) = [element for element in elements.found if element[0] == tag]
        digest = base64.b64encode(hashlib.sha256("".join(text).encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    nothing = "'none'"
    assert rules == {"default-src": nothing, "img-src": "data:", "base-uri": nothing, "form-action": nothing}


def test_the_same_score_gives_the_same_bytes(example: Scored, page: Path, tmp_path: Path) -> None:
    assert example.write(tmp_path / "again") == page.read_text(encoding="utf-8")
    changed = replace(example, score=replace(example.score, source_sha256="0" * 64))
    assert changed.write(tmp_path / "changed") != page.read_text(encoding="utf-8")


def test_a_full_disk_leaves_the_old_page_whole(
    example: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        example.write(tmp_path)
    assert (tmp_path / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


# What it tells


def test_the_title_says_what_was_scored_on_what(example: Scored, elements: Elements) -> None:
    ((_, title),) = elements.all("title")[:1]
    assert title == f"{example.source.root} on {example.frames.root}, lpcvc-2025"
    assert elements.all("h1")[0][1] == str(example.source.root)
    hashes = [text for _, text in elements.all("dd") if len(text) == 64]
    assert hashes == [example.score.source_sha256, example.score.data_sha256]


def test_the_protocol_is_described_in_full(elements: Elements) -> None:
    told = [text for _, text in elements.all("dd")]
    for protocol in (OFFICIAL, GEOMETRY):
        for value in protocol.described().values():
            assert (", ".join(value) if isinstance(value, tuple) else " ".join(str(value).split())) in told


def cells(elements: Elements, head: str) -> list[str]:
    """The texts of the first row with this head (a metric that ranks has a word more), without the head."""
    heads = (head, f"{head} ranks")
    at = next(
        index
        for index, (tag, given, text) in enumerate(elements.found)
        if tag == "th" and given.get("scope") == "row" and " ".join("".join(text).split()) in heads
    )
    row: list[str] = []
    for tag, _, text in elements.found[at + 1 :]:
        if tag == "tr":
            break
        row += [" ".join("".join(text).split())] if tag == "td" else []
    return row


def test_the_means_have_unit_and_direction(example: Scored, elements: Elements) -> None:
    mean = example.score.mean.values
    for key, unit, better, digits in (("f_score", "of 100, at 10 cm", "higher", 2), ("abs_rel", "ratio", "lower", 4)):
        assert example.score.intervals[key] is None  # of three frames
        assert cells(elements, key) == [f"{mean[key]:.{digits}f}", unit, better]
    assert cells(elements, "rmse_log") == ["not finite", "ln m", "lower"]
    assert f"mean f_score {mean['f_score']:.2f}" in elements.all("div", kind="main")[0][1]
    remarks = [text for _, text in elements.all("li")]
    for protocol in (OFFICIAL, GEOMETRY):
        for line in (
            "rmse_log is not finite: no finite value in 1 of 3 frames, the first is 9.",
            "in 9 the scaled prediction is negative at some pixel, and a negative depth has no logarithm.",
        ):
            assert f"{protocol.name}: {line}" in remarks


def test_intervals_and_breakdowns(example: Scored, tmp_path: Path) -> None:
    labels = {"9": "indoor", "10": "indoor", "2": "indoor", NASTY: "<i>outdoor</i>"}
    score = replace(
        example.score,
        intervals={"f_score": (12.345, 67.891), "abs_rel": None},
        groups=group_means(example.score.frames, labels, OFFICIAL.metrics, OFFICIAL.ranks),
    )
    found = Elements(replace(example, score=score).write(tmp_path))
    assert cells(found, "f_score")[1] == "12.35 to 67.89"
    assert cells(found, "abs_rel")[1] == "–"  # noqa: RUF001
    assert f"Interval: {METHOD}" in [text for _, text in found.all("p", kind="quiet")]
    assert "95 % interval 12.35 to 67.89; of 100" in found.all("div", kind="main")[0][1]
    assert len(found.all("rect", kind="band")) == 1
    assert cells(found, "indoor")[:2] == ["3", "1"]
    assert cells(found, "<i>outdoor</i>")[:2] == ["1", "0"]
    part = score.parts["truth 2-4 m"]
    told = cells(found, "truth 2-4 m")
    assert told[:2] == [f"{part['frames']}", f"{part['pixels']:,}"]
    assert told[2] == f"{part['abs_rel']:.4f}"


def test_one_group_is_no_breakdown(elements: Elements) -> None:
    assert [text for _, text in elements.all("h3") if text.startswith("By ")] == [
        "By depth and confidence, means over the frames that have them"
    ]


def test_stopped_frames_are_listed_with_the_reason(elements: Elements) -> None:
    assert cells(elements, "2") == ["no pixel has confidence 1 or more, where the official script stops"]
    assert "1 without a score" in elements.all("span", kind="more")[1][1]


def test_all_frames_are_in_the_table_in_their_order(example: Scored, elements: Elements) -> None:
    at = next(i for i, (_, given, _) in enumerate(elements.found) if given.get("id") == "table")
    rows = ["".join(text) for tag, given, text in elements.found[at:] if (tag, given.get("scope")) == ("th", "row")]
    assert rows == list(example.frames.names)
    exact = [given.get("data-v") for tag, given, _ in elements.found[at:] if tag == "td"]
    values = [frame.values[key] for frame in example.score.frames for key in OFFICIAL.metrics]
    assert exact == [None if value is None else f"{value:.9g}" for value in values]


def test_the_worst_come_first(example: Scored, elements: Elements) -> None:
    values = {frame.frame: frame.values["f_score"] for frame in example.score.frames}
    shown = [text.split(" ", 1)[1] for _, text in elements.all("h3") if text[:1].isdigit()]
    assert shown == ["9", "10", NASTY]
    ranked = [value for name in shown if (value := values[name]) is not None]
    assert ranked == sorted(ranked)
    assert ranked[0] < ranked[-1] == 100


def test_pictures_of_the_worst_only_and_said_so(example: Scored, tmp_path: Path) -> None:
    text = example.write(tmp_path, most_rows=1)
    assert {frame for frame, _ in tiles(Elements(text))} == {"9"}
    assert "The worst 1 of 3 frames by f_score, higher is better." in text
    drawn = [given for given, _ in Elements(text).all("img") if "src" in given]
    assert len(drawn) == 4 + 2 * 2  # a row, and two bars for the rows and for the enlarged picture


@pytest.mark.parametrize(("trained_on", "words"), [(2, "The run was trained on 2 of these"), (0, None), (None, None)])
def test_what_was_trained_on_is_said(
    trained_on: int | None, words: str | None, example: Scored, tmp_path: Path
) -> None:
    text = replace(example, score=replace(example.score, trained_on=trained_on)).write(tmp_path)
    assert ("No held-out score" in text) == (words is not None)
    assert (words or "") in text
    assert ("frames trained on" in text) == (trained_on is not None)


def test_frames_without_any_score_are_a_page_too(tmp_path: Path) -> None:
    root = write_data(tmp_path / "in")
    for index, name in enumerate(NAMES):
        write_png(root / "data" / "depth_conf" / f"{name}.png", levels(index) * 0)
    text = scored(root).write(tmp_path / "out")
    assert "There is no frame with a score to be shown." in text
    assert tiles(Elements(text)) == {}
    assert 'id="distribution"' not in text


# Escaping


def test_names_and_paths_are_texts(example: Scored, page: Path, elements: Elements) -> None:
    text = page.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<b>&" not in text
    assert len(elements.all("script")) == 1
    assert (NASTY, "RGB") in tiles(elements)


def test_a_source_called_like_markup_is_text(example: Scored, tmp_path: Path) -> None:
    nasty = replace(example, score=replace(example.score, source='</title><img src=x onerror="alert(2)">{{ 7 * 7 }}'))
    found = Elements(nasty.write(tmp_path))
    assert found.all("h1")[0][1] == nasty.score.source
    assert not [given for _, given, _ in found.found if "onerror" in given]


def test_a_name_that_is_no_unicode_is_shown_with_a_mark(example: Scored, tmp_path: Path) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")  # what Python makes of such a name on disk
    assert "<h1>caf?</h1>" in replace(example, score=replace(example.score, source=name)).write(tmp_path)


# Pictures


def test_truth_prediction_and_error_are_on_one_scale(example: Scored, elements: Elements) -> None:
    """Painted again here, by hand: from 0 to the 98th percentile of what is trusted, the error to a quarter of it."""
    found = tiles(elements)
    grown = {i: nearest(truth_m(i), (WIDTH, HEIGHT)) for i in (0, 1, 3)}
    trusted = {i: (nearest(levels(i), (WIDTH, HEIGHT)) > 0) & (grown[i] > 0) for i in grown}
    far = float(np.percentile(np.concatenate([grown[i][trusted[i]] for i in grown]), 98))
    depth, error = Scale(0.0, far, "m"), signed_scale(far / 4, "m")
    scales = {frame.frame: frame.alignment["scale"] for frame in example.score.frames if frame.alignment}
    for i, valid in trusted.items():
        pred_m = scales[NAMES[i]] * np.load(example.source.files[NAMES[i]])
        np.testing.assert_array_equal(found[NAMES[i], "truth"], depth.paint(grown[i], valid))
        np.testing.assert_array_equal(found[NAMES[i], "prediction"], depth.paint(pred_m))
        np.testing.assert_array_equal(found[NAMES[i], "prediction − truth"], error.paint(pred_m - grown[i], valid))  # noqa: RUF001


def test_no_error_is_white_and_invalid_is_grey(elements: Elements) -> None:
    found = tiles(elements)
    truth, error = found[NASTY, "truth"], found[NASTY, "prediction − truth"]  # noqa: RUF001
    assert set(map(tuple, error[:-2, 2:].reshape(-1, 3))) == {WHITE}
    for invalid in (error[:, :2], error[-2:], truth[:, :2], truth[-2:]):
        assert set(map(tuple, invalid.reshape(-1, 3))) == {GREY}
    assert GREY not in set(map(tuple, truth[:-2, 2:].reshape(-1, 3)))
    np.testing.assert_array_equal(found[NASTY, "prediction"][:-2, 2:], truth[:-2, 2:])  # the same colours


def test_the_bars_run_from_end_to_end(elements: Elements) -> None:
    bars = [(given, pixels(given["src"])) for given, _ in elements.all("img") if given["alt"].startswith("colours")]
    (depth_told, depth), (error_told, error) = bars[:2]
    assert depth_told["alt"].startswith("colours of depth, from 0 to ≥ 3.")
    assert re.search(r"from ≤ −0\.\d+ m to ≥ \+0\.\d+ m", error_told["alt"])  # noqa: RUF001
    np.testing.assert_array_equal(depth[0, [0, -1]], Scale(0, 1, "m").paint(np.array([[0.0, 1.0]]))[0])
    np.testing.assert_array_equal(error[0, [0, 127, 128, -1]], [(0, 0, 255), WHITE, WHITE, (255, 0, 0)])


@pytest.mark.parametrize(
    ("name", "kind", "make"),
    [
        ("kitti-eigen-benchmark-lsq-inverse", "affine_inverse_depth", lambda depth: 3 / depth + 1),
        ("kitti-eigen-benchmark-lsq-inverse", "depth_m", lambda depth: depth),
        ("kitti-eigen-benchmark-lsq-depth", "relative_depth", lambda depth: depth / 5 + 0.1),
        ("kitti-eigen-benchmark", "relative_depth", lambda depth: depth / 5),
        ("kitti-eigen-benchmark-metric", "depth_m", lambda depth: depth),
        ("scale-invariant", "relative_depth", lambda depth: depth / 5),
    ],
)
def test_field_protocols_show_the_prediction_as_they_aligned_it(
    name: str, kind: str, make: Any, tmp_path: Path
) -> None:
    root = write_data(tmp_path / "in")
    for index, frame in enumerate(NAMES):
        depth = nearest(np.maximum(truth_m(index), np.float32(0.5)), (WIDTH, HEIGHT))
        np.save(root / "predictions" / f"{frame}.npy", make(depth.astype(np.float64)))
    done = scored(root, (named(name),), kind)
    text = done.write(tmp_path / "out")
    assert f"as the protocol aligned and clamped them: {named(name).alignment}." in text
    found = tiles(Elements(text))
    assert {frame for frame, _ in found} == set(NAMES)  # none is stopped: confidence is not used
    for frame in NAMES:
        error = found[frame, "prediction − truth"].astype(int)  # noqa: RUF001
        assert error.shape == (6, 8, 3)  # the grid on which they compare
        assert (error[:, :1] == 128).all()  # holes
        assert error[:, 1:].min() >= 250  # white but for rounding


def test_what_is_outside_the_crop_or_the_range_is_grey_and_what_is_shown_is_clamped(tmp_path: Path) -> None:
    """Garg's crop of 8x6 is rows 2 to 4, columns 0 to 6; a prediction of 500 m counts as 80 m."""
    root = write_data(tmp_path / "in", ("9",))
    counts = np.full((6, 8), 79000 // 2, np.uint16)
    counts[3, 3] = 81000 // 2
    write_png(root / "data" / "depth_raw" / "9.png", counts)
    (root / "data" / "manifest.json").write_text('[{"frame": "9", "depth_unit_m": 0.002}]')
    np.save(root / "predictions" / "9.npy", np.full((6, 8), 500.0))
    found = tiles(Elements(scored(root, (named("kitti-eigen-metric"),), "depth_m").write(tmp_path / "out")))
    counted = np.zeros((6, 8), bool)
    counted[2:5, :7], counted[3, 3] = True, False
    for title in ("truth", "prediction − truth"):  # noqa: RUF001
        np.testing.assert_array_equal((found["9", title] == GREY).all(axis=2), ~counted)
    error = signed_scale(79 / 4, "m").paint(np.full((6, 8), 1.0))
    np.testing.assert_array_equal(found["9", "prediction − truth"][counted], error[counted])  # noqa: RUF001
    assert not (found["9", "prediction"] == GREY).all(axis=2).any()  # it is whole


def test_a_prediction_without_metres_is_grey_and_said_so(tmp_path: Path) -> None:
    root = write_data(tmp_path / "in")
    spoiled = prediction(1)
    spoiled[0, 0] = np.nan
    np.save(root / "predictions" / "10.npy", spoiled)
    text = scored(root).write(tmp_path / "out")
    assert "It gives 10 no depth in metres: these predictions are grey." in text
    assert set(map(tuple, tiles(Elements(text))["10", "prediction"].reshape(-1, 3))) == {GREY}


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the page is not opened")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: the page is not opened")
    with sync_api.sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield launched
        launched.close()


@dataclass
class Heard:
    """What a page said and asked for."""

    console: list[str]
    errors: list[str]
    requests: list[str]


def opened(browser: Any, page: Path, **context: Any) -> tuple[Any, Heard]:
    heard = Heard([], [], [])
    tab = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **context}).new_page()
    tab.on("console", lambda message: heard.console.append(message.text))
    tab.on("pageerror", lambda error: heard.errors.append(str(error)))
    tab.on("request", lambda request: heard.requests.append(request.url))
    tab.goto(page.as_uri())
    return tab, heard


def use_everything(tab: Any) -> None:
    for button in tab.locator("#table thead button").all():
        button.click()
    tab.locator("#filter").fill("1")
    tab.locator(".tile").first.click()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Escape")


def test_it_opens_and_works_without_error_or_request(browser: Any, page: Path) -> None:
    tab, heard = opened(browser, page)
    use_everything(tab)
    outside = [url for url in heard.requests if not url.startswith("data:")]
    assert (heard.console, heard.errors, outside) == ([], [], [page.as_uri()])
    drawn = tab.evaluate("[...document.images].filter(i => i.src).map(i => i.complete && i.naturalWidth)")
    assert min(drawn) > 0
    assert len(drawn) == 3 * 4 + 4 + 1  # rows, bars twice, the enlarged picture


def test_its_policy_stops_what_would_load(browser: Any, page: Path) -> None:
    """The counterpart of the test above: something that does ask for the network is stopped and heard."""
    tab, heard = opened(browser, page)
    told = tab.evaluate(
        """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            document.body.append(Object.assign(new Image(), { src: "http://localhost:9/x.png" }));
        })"""
    )
    assert told == "img-src"
    assert any("Content Security Policy" in text for text in heard.console)


def column(tab: Any, index: int) -> list[str]:
    return tab.evaluate(f"[...document.querySelectorAll('#table tbody tr')].map(r => r.cells[{index}].textContent)")


def test_a_click_on_a_header_sorts(browser: Any, example: Scored, page: Path) -> None:
    tab, _ = opened(browser, page)
    assert column(tab, 0) == ["10", "2", "9", NASTY]  # as scored
    headers = tab.locator("#table thead th")
    headers.nth(0).locator("button").click()
    assert column(tab, 0)[:3] in (["2", "9", "10"], [NASTY, "2", "9"])  # as numbers
    at = 1 + OFFICIAL.metrics.index("f_score")
    headers.nth(at).locator("button").press("Enter")  # by keyboard
    assert headers.nth(at).get_attribute("aria-sort") == "ascending"
    assert headers.nth(0).get_attribute("aria-sort") is None
    assert column(tab, 0) == ["9", "10", NASTY, "2"]  # the stopped frame last
    headers.nth(at).locator("button").click()
    assert headers.nth(at).get_attribute("aria-sort") == "descending"
    assert column(tab, 0) == [NASTY, "10", "9", "2"]  # and last again
    log = 1 + OFFICIAL.metrics.index("rmse_log")
    headers.nth(log).locator("button").click()
    assert set(column(tab, 0)[2:]) == {"9", "2"}  # neither has one


def test_the_filter_hides_the_rest(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page)
    tab.locator("#filter").fill("ALERT")
    assert tab.locator("#table tbody tr:visible th").all_text_contents() == [NASTY]
    assert tab.locator("#shown").inner_text() == "1 of 4 frames"
    tab.locator("#filter").fill("")
    assert tab.locator("#table tbody tr:visible").count() == 4
    assert tab.locator("#shown").inner_text() == "4 frames"


def test_a_click_enlarges_and_escape_closes(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page)
    large, tile = tab.locator("#large"), tab.locator(".tile").nth(1)
    assert not large.is_visible()
    small = tile.locator("img").bounding_box()["width"]
    tile.focus()
    tab.keyboard.press("Enter")
    assert large.is_visible()
    assert tab.locator("#large-title").inner_text() == "truth of frame 9"
    assert large.locator("> img").bounding_box()["width"] > 2 * small
    assert large.locator(".bar:visible").get_attribute("data-kind") == "depth"
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#large-title").inner_text() == "prediction − truth of frame 9"  # noqa: RUF001
    assert large.locator(".bar:visible").get_attribute("data-kind") == "error"
    tab.keyboard.press("Escape")
    assert not large.is_visible()
    # The browser tells the page of the closing a moment later.
    tab.locator('.tile:focus img[alt^="prediction − truth of frame 9"]').wait_for()  # noqa: RUF001
    tile.click()
    large.locator(".close").click()
    assert not large.is_visible()


def shot(locator: Any) -> Array:
    decoded = cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_seen(scheme: str, browser: Any, page: Path) -> None:
    """On the screen: both bars, no error white, no truth grey; the page's paper follows the scheme."""
    tab, _ = opened(browser, page, color_scheme=scheme)
    depth, error = (shot(tab.locator(f".legend .bar[data-kind={kind}] img")) for kind in ("depth", "error"))
    middle = error[error.shape[0] // 2]
    ends, centre = middle[[3, -4]].astype(int), middle[len(middle) // 2]
    assert (ends[0, 2] > 240, ends[0, 0] < 15) == (True, True)  # blue
    assert (ends[1, 0] > 240, ends[1, 2] < 15) == (True, True)  # red
    assert centre.min() > 245
    assert len({tuple(colour) for colour in depth[depth.shape[0] // 2]}) > 100
    seen = shot(tab.locator('img[alt^="prediction − truth of frame <b>"]'))  # noqa: RUF001
    height, width = seen.shape[:2]
    assert tuple(seen[height // 3, width // 2]) == WHITE
    assert tuple(seen[height // 3, width // 16]) == GREY
    paper = np.median(shot(tab.locator("h1")), axis=(0, 1))
    assert (paper > 200).all() if scheme == "light" else (paper < 60).all()


@pytest.mark.parametrize(
    "factor",
    [1.0, 1.4e-5, *(pytest.param(each, marks=pytest.mark.slow) for each in (1e-3, 1e-8, 1234567.0, 1e9, -1e3))],
    ids=str,
)
def test_every_label_of_a_histogram_is_inside_it(factor: float, browser: Any) -> None:
    """The rightmost label was cut at the edge: 0.014 looked like 0.01."""
    folder = Path(report_page.__file__).parent
    parts: Any = jinja2.Environment(loader=jinja2.FileSystemLoader(folder)).get_template("parts.html.jinja").module
    style = (folder / "page.css").read_text()
    tab = browser.new_page()
    for values in ([8.1, 9.0, 11.0, 13.9], [1.0] * 3, [5.0, 5.1, 5.2, 5.3, 5.4, 5.5, 1000.0], list(range(1, 2000))):
        drawn = histogram([factor * value for value in values], "chamfer_m, m", factor * 8, None)
        tab.set_content(f'<style>{style}</style><figure class="chart">{parts.histogram(drawn, "h")}</figure>')
        edge = tab.locator("svg").bounding_box()
        for text in tab.locator("svg text").all():
            box, said = text.bounding_box(), text.text_content()
            assert edge["x"] <= box["x"], said
            assert box["x"] + box["width"] <= edge["x"] + edge["width"], said
    tab.close()


def test_the_page_is_never_wider_than_the_screen(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page)
    for width in (320, 390, 768, 1920):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_it_prints_without_its_controls(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page)
    tab.emulate_media(media="print")
    assert not tab.locator("#filter").is_visible()
    assert tab.locator(".tile").first.is_visible()
    assert tab.pdf().startswith(b"%PDF")
