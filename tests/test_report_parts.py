"""What the report is put together from: axes, charts, and markup that escapes."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet.commands.report.axes import in_short, linear_axis, log_axis
from keras_unet.commands.report.charts import Line, chart
from keras_unet.commands.report.markup import Html, number, table, tag

VALUES = st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 6)), min_size=1, max_size=20)
POSITIVE = st.lists(st.floats(1e-12, 1e9), min_size=1, max_size=20)


@given(VALUES)
def test_a_linear_axis_holds_all_values_between_its_first_and_last_tick(values: list[float]) -> None:
    axis = linear_axis(values)
    assert all(-1e-6 <= axis.place(value) <= 1 + 1e-6 for value in values)
    assert 3 <= len(axis.ticks) <= 8
    assert np.allclose(np.diff(axis.ticks), axis.ticks[1] - axis.ticks[0])


@given(POSITIVE)
def test_a_logarithmic_axis_holds_all_values_and_few_ticks(values: list[float]) -> None:
    axis = log_axis(values)
    assert all(-1e-6 <= axis.place(value) <= 1 + 1e-6 for value in values)
    assert 1 <= len(axis.ticks) <= 6
    assert all(f"{tick:.0e}"[0] in "125" for tick in axis.ticks)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0, 80], [0, 20, 40, 60, 80]),
        ([0.31, 0.68], [0.3, 0.4, 0.5, 0.6, 0.7]),
        ([-3, 3], [-4, -2, 0, 2, 4]),
        ([7, 7], [2, 4, 6, 8, 10, 12]),
    ],
)
def test_ticks_are_round_numbers(values: list[float], ticks: list[float]) -> None:
    assert linear_axis(values).ticks == pytest.approx(ticks)


def test_ticks_are_short() -> None:
    values = (0, 0.05, 0.30000000000000004, 2000, 1e-5, 0.00025, 2e6, -4)
    assert [in_short(value) for value in values] == ["0", "0.05", "0.3", "2,000", "1e-5", "2.5e-4", "2e6", "-4"]


def test_a_chart_draws_each_point_at_its_place_and_rings_the_best() -> None:
    drawn = chart("Loss", [Line("a", [(0, 0.0), (50, 5.0), (100, 10.0)], best=50)])
    points = re.search(r'<polyline points="([^"]*)"', drawn)
    assert points is not None
    places = np.array([point.split(",") for point in points[1].split()], float)
    assert np.allclose(np.diff(places[:, 0]), np.diff(places[:, 0])[0]), "equal steps, equal room"
    assert np.allclose(np.diff(places[:, 1]), np.diff(places[:, 1])[0])
    assert np.diff(places[:, 1])[0] < 0, "larger values stand higher"
    ring = re.search(r'cx="([^"]*)" cy="([^"]*)" r="5.5"', drawn)
    assert ring is not None
    assert [float(ring[1]), float(ring[2])] == places[1].tolist()


def test_a_logarithmic_chart_leaves_out_what_is_not_positive_and_an_empty_one_says_so() -> None:
    assert "<svg" in chart("Rate", [Line("a", [(1, 0.0), (2, 1e-3)])], log=True)
    assert "No figures yet." in chart("Rate", [Line("a", [(1, 0.0)])], log=True)


def test_of_very_many_points_peaks_stay() -> None:
    points = [(step, 1.0) for step in range(100_000)]
    points[54_321] = (54_321, 9.0)
    drawn = chart("Loss", [Line("a", points)])
    assert len(drawn) < 30_000
    line = re.findall(r'<polyline points="([^"]*)"', drawn)[0]
    assert len({point.split(",")[1] for point in line.split()}) == 2


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>&", Html("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;&amp;<i></i></p>'
    assert "&lt;td&gt;" in table(["<td>"], [["<td>"]])
    assert tag("img", alt="a") == '<img alt="a">'


def test_figures_keep_their_value_and_what_is_none_is_a_dash() -> None:
    assert number(1 / 3) == f'<data value="{1 / 3!r}">0.3333</data>'
    assert number(12345) == '<data value="12345">12,345</data>'
    assert {number(None), number(float("nan")), number("text")} == {"–"}
