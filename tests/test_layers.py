"""The picture of the slowest layers: right order, right length, right colour, and it says what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from lpcv.errors import InputError
from lpcv.hub_jobs import layers
from lpcv.hub_jobs.layers import COLOURS, LONGEST_BAR_PX, OTHER_COLOUR, ROW_PX, picture
from lpcv.hub_jobs.verdict import Layer, Profile

TITLE = "Samsung Galaxy S24 (AI Hub)"


def profile_of(*found: Layer) -> Profile:
    return Profile(None, None, None, None, None, found)


def timed(unit: str, time_ms: float | None, cycles: int | None = None, name: str = "layer") -> Layer:
    return Layer(name, "Conv", unit, time_ms, cycles)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is drawn, in order; the drawing goes on."""
    texts: list[str] = []
    draw = layers._write

    def spy(sheet: np.ndarray, text: str, left: int, base: int) -> None:
        texts.append(text)
        draw(sheet, text, left, base)

    monkeypatch.setattr(layers, "_write", spy)
    return texts


def bars(drawn: np.ndarray) -> list[tuple[tuple[int, int, int], int]]:
    """Colour and length in pixels of each bar, from the top, read off the pixels at the bars' left end."""
    left = layers.MARGIN_PX + layers.NAME_PX + layers.TYPE_PX
    found: list[tuple[tuple[int, int, int], int]] = []
    above = (255, 255, 255)
    for row in drawn:
        colour = (int(row[left][0]), int(row[left][1]), int(row[left][2]))
        if colour != above and colour != (255, 255, 255):
            same = (row[left:] == row[left]).all(axis=1)
            found.append((colour, len(same) if same.all() else int(np.argmin(same))))
        above = colour
    return found


def test_bars_are_sorted_coloured_by_unit_and_as_long_as_their_share(written: list[str]) -> None:
    drawn = picture(profile_of(timed("NPU", 1.0), timed("CPU", 4.0), timed("GPU", 2.0), timed("TPU", 3.0)), TITLE)
    assert drawn.dtype == np.uint8
    assert bars(drawn) == [
        (COLOURS["CPU"], LONGEST_BAR_PX),
        (OTHER_COLOUR, round(LONGEST_BAR_PX * 3 / 4)),
        (COLOURS["GPU"], round(LONGEST_BAR_PX / 2)),
        (COLOURS["NPU"], round(LONGEST_BAR_PX / 4)),
    ]
    assert written[0] == TITLE
    assert [text for text in written if "%" in text] == [
        "4.000 ms  40.0 %", "3.000 ms  30.0 %", "2.000 ms  20.0 %", "1.000 ms  10.0 %",
    ]  # fmt: skip
    assert {"NPU: 1 layer", "CPU: 1 layer", "GPU: 1 layer", "TPU: 1 layer"} <= set(written)


def test_only_the_slowest_are_drawn_and_shares_are_of_all(written: list[str]) -> None:
    many = profile_of(*(timed("NPU", 1.0, name=f"l{index}") for index in range(30)))
    assert len(bars(picture(many, TITLE))) == 20
    assert any("20 slowest of 30 layers" in text and "30.000 ms" in text for text in written)
    assert "1.000 ms  3.3 %" in written
    assert "1  l0" in written  # its place in the model
    assert picture(many, TITLE, 5).shape[0] == picture(many, TITLE).shape[0] - 15 * ROW_PX


def test_cycles_are_called_cycles_and_never_mixed_with_times(written: list[str]) -> None:
    picture(profile_of(timed("NPU", 1.0, 3_000), timed("NPU", None, 1_000)), TITLE)
    assert "3,000 cycles  75.0 %" in written
    assert any("this profile has no times" in text for text in written)
    assert not any(" ms" in text for text in written)


@pytest.mark.parametrize("found", [[], [timed("NPU", None)], [timed("NPU", 1.0), timed("NPU", None, 5)]])
def test_nothing_to_draw_is_a_sentence(found: list[Layer]) -> None:
    with pytest.raises(InputError, match="no time and no cycles"):
        picture(profile_of(*found), TITLE)


def test_all_zero_has_no_bar_and_no_division(written: list[str]) -> None:
    assert bars(picture(profile_of(timed("NPU", 0.0), timed("CPU", 0.0)), TITLE)) == []
    assert "0.000 ms  0 %" in written


def test_long_and_foreign_names_stay_in_their_column(written: list[str]) -> None:
    name = "начало/" + "very_long_" * 30 + "end"
    drawn = picture(profile_of(timed("NPU", 1.0, name=name)), "title " * 80)
    (shown,) = (text for text in written if text.endswith("end"))
    assert shown.startswith("1  ??????/very")
    assert "..." in shown
    assert layers._width(shown) <= layers.NAME_PX
    assert (drawn[:, -layers.MARGIN_PX :] == 255).all()
    column_end = layers.MARGIN_PX + layers.NAME_PX
    assert (drawn[-ROW_PX - layers.MARGIN_PX :, column_end - 6 : column_end] == 255).all()
