"""Expressions of bands: what is understood, what is refused, and what they give in a stack."""

import numpy as np
import pytest

from geoseg_engine.bands.expressions import evaluation_order, expression_problems, parsed
from geoseg_engine.contract import Band, GeoSegError

A = np.array([1.0, 2.0, np.nan, -4.0], np.float32)
B = np.array([3.0, 2.0, 1.0, 0.0], np.float32)


def value(text: str) -> np.ndarray:
    return parsed(text).evaluate({"a": A, "b": B})


def expression(name: str, text: str, **inputs: str) -> Band:
    return Band(name, derive="expression", parameters={"expression": text}, inputs=inputs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a - b) / (a + b)", [-0.5, 0, np.nan, 1]),
        ("-a ** 2", [-1, -4, np.nan, -16]),
        ("a / b", [1 / 3, 1, np.nan, np.nan]),
        ("log10(a * 10)", [1, np.log10(20), np.nan, np.nan]),
        ("sqrt(abs(a))", [1, np.sqrt(2), np.nan, 2]),
        ("where(a > b, 1, b)", [3, 2, np.nan, 0]),
        ("0 < a <= 1", [1, 0, np.nan, 0]),
        ("a > 0 and not b > 2", [0, 1, np.nan, 0]),
        ("maximum(a, minimum(b, 2.5))", [2.5, 2, np.nan, 0]),
        ("  a*0 + 1e3", [1000, 1000, np.nan, 1000]),
        ("b", [3, 2, 1, 0]),
        ("a ** 1000 * 9 ** 9 ** 9", [np.nan] * 4),
    ],
)
def test_values(text, expected):
    np.testing.assert_allclose(value(text), expected, rtol=1e-6)
    assert value(text).dtype == np.float32


def test_inputs_are_left_as_they_are():
    before = A.copy()
    value("-a + b")
    np.testing.assert_array_equal(A, before)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ""),
        ("a +", "character"),
        ("a + 'text'", "character 5"),
        ("a.real", "character 1"),
        ("a[0]", "character 1"),
        ("__import__('os')", "character 1: the function '__import__' is unknown"),
        ("sqrt(a, b)", "takes 1 value"),
        ("a @ b", "unknown operator"),
        ("lambda: a", "character 1"),
        ("a if b else a", "character 1"),
        ("a + True", "character 5"),
        ("1 + 2", "uses no band"),
        ("(" * 900 + "a" + ")" * 900, "character"),
        ("a = 1", "character"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(text, place):
    with pytest.raises(GeoSegError) as caught:
        parsed(text)
    assert caught.value.code == "expression" and place in caught.value.message


def test_expressions_follow_those_they_need():
    bands = (
        expression("last", "x + 1", x="middle"),
        Band("nir", "s", 1),
        expression("middle", "x * y", x="first", y="nir"),
        expression("first", "x", x="nir"),
    )
    assert [band.name for band in evaluation_order(bands)] == ["first", "middle", "last"]
    assert expression_problems(bands) == []


def test_circles_and_unknown_variables_are_problems():
    circle = (expression("one", "x", x="two"), expression("two", "x", x="one"), expression("me", "x", x="me"))
    assert [problem.code for problem in expression_problems(circle)] == ["expression_circle"]
    (problem,) = expression_problems((expression("ndvi", "(n - r) / n", n="nir"),))
    assert problem.code == "unknown_variable" and "'r' at character 6" in problem.message
    (problem,) = expression_problems((expression("bad", "n +* 2", n="nir"),))
    assert problem.code == "expression" and problem.message.startswith("Band 'bad'")
