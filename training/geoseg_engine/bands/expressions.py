"""Bands by arithmetic on other bands: read once, checked before anything is computed, and never run as Python."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contract import EXPRESSION, Band, GeoSegError, Problem

LONGEST = 2000
Arrays = Mapping[str, np.ndarray]
Node = Callable[[Arrays], Any]

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Mod: np.mod,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Not: np.logical_not,
}
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1),
    "arctan2": (np.arctan2, 2),
    "atan": (np.arctan, 1),
    "ceil": (np.ceil, 1),
    "cos": (np.cos, 1),
    "exp": (np.exp, 1),
    "floor": (np.floor, 1),
    "log": (np.log, 1),
    "log10": (np.log10, 1),
    "maximum": (np.maximum, 2),
    "minimum": (np.minimum, 2),
    "round": (np.rint, 1),
    "sin": (np.sin, 1),
    "sqrt": (np.sqrt, 1),
    "tan": (np.tan, 1),
    "where": (np.where, 3),
}
"""Name -> (function, number of arguments); angles are radians."""


@dataclass(frozen=True)
class Expression:
    """A parsed formula: `variables` in the order of their names, and the function that computes it."""

    variables: tuple[str, ...]
    node: Node

    def evaluate(self, arrays: Arrays) -> np.ndarray:
        """Values of the formula.

        Args:
            arrays: variable -> float32 array, all of one shape, NaN where there is no value.

        Returns:
            Float32 of the same shape; comparisons give 1 and 0. NaN wherever a variable of the formula is NaN,
            and where the result is not finite (division by 0, logarithm of a negative number).
        """
        with np.errstate(all="ignore"):
            found = self.node(arrays)
        result = np.array(found, np.float32)
        valid = np.isfinite(result)
        for name in self.variables:
            valid &= np.isfinite(arrays[name])
        result[~valid] = np.nan
        return result


class _NotUnderstoodError(ValueError):
    """A message, and the position of the character that it is about, from 0."""

    def __init__(self, sentence: str, place: int) -> None:
        super().__init__(sentence)
        self.place = place


def parsed(text: str) -> Expression:
    """Parse a formula of numbers, variables, + - * / ** %, comparisons, and / or / not, and FUNCTIONS.

    Raises:
        GeoSegError: `expression`, naming the character at which it is not understood.
    """
    try:
        return _parsed(text)
    except _NotUnderstoodError as error:
        mark = f"at character {error.place + 1}" if text.strip() else "which is empty"
        raise GeoSegError(
            "expression",
            f"The expression '{text}' is not understood {mark}: {error}.",
            f"Use names of bands, numbers, + - * / **, comparisons and {', '.join(FUNCTIONS)}.",
        ) from error


def _parsed(text: str) -> Expression:
    if not text.strip() or len(text) > LONGEST:
        raise _NotUnderstoodError(f"it has {len(text)} of at most {LONGEST} characters", 0)
    lead = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        place = max(getattr(error, "offset", 1) or 1, 1) - 1
        raise _NotUnderstoodError(getattr(error, "msg", str(error)), place + lead) from error
    try:
        variables: set[str] = set()
        node = _compiled(tree.body, variables)
    except _NotUnderstoodError as error:
        error.place += lead
        raise
    except RecursionError as error:
        raise _NotUnderstoodError("it is nested too deeply", 0) from error
    if not variables:
        raise _NotUnderstoodError("it uses no band", 0)
    return Expression(tuple(sorted(variables)), node)


def _compiled(node: ast.expr, variables: set[str]) -> Node:
    """The function that computes a part of the formula; its variables are added to the set."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _constant(node)
    if isinstance(node, ast.Name):
        variables.add(node.id)
        name = node.id
        return lambda arrays: arrays[name]
    if isinstance(node, ast.BinOp):
        return _applied(node.op, [node.left, node.right], node, variables)
    if isinstance(node, ast.UnaryOp):
        return _applied(node.op, [node.operand], node, variables)
    if isinstance(node, ast.BoolOp):
        parts = [_compiled(value, variables) for value in node.values]
        return _chained(OPERATORS[type(node.op)], parts)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        pairs = zip(node.ops, sides[:-1], sides[1:], strict=True)
        return _chained(np.logical_and, [_applied(op, [a, b], node, variables) for op, a, b in pairs])
    if isinstance(node, ast.Call):
        return _called(node, variables)
    raise _NotUnderstoodError(f"'{ast.unparse(node)}' is not allowed here", node.col_offset)


def _constant(node: ast.Constant) -> Node:
    try:
        value = np.float32(float(node.value))  # type: ignore[arg-type]
    except OverflowError as error:
        raise _NotUnderstoodError("the number is too large", node.col_offset) from error
    return lambda arrays: value


def _applied(operator: ast.AST, parts: list[ast.expr], node: ast.expr, variables: set[str]) -> Node:
    function = OPERATORS.get(type(operator))
    if function is None:
        raise _NotUnderstoodError(f"'{ast.unparse(node)}' uses an unknown operator", node.col_offset)
    return _function(function, [_compiled(part, variables) for part in parts])


def _called(node: ast.Call, variables: set[str]) -> Node:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        raise _NotUnderstoodError(f"the function '{name}' is unknown", node.col_offset)
    function, count = FUNCTIONS[name]
    if node.keywords or len(node.args) != count:
        raise _NotUnderstoodError(f"'{name}' takes {count} values", node.col_offset)
    return _function(function, [_compiled(part, variables) for part in node.args])


def _function(function: Callable[..., Any], parts: list[Node]) -> Node:
    return lambda arrays: function(*(part(arrays) for part in parts))


def _chained(function: Callable[..., Any], parts: list[Node]) -> Node:
    def node(arrays: Arrays) -> Any:
        result = parts[0](arrays)
        for part in parts[1:]:
            result = function(result, part(arrays))
        return result

    return node


def formula(band: Band) -> str:
    """Return the formula of an expression band."""
    return str(band.parameters.get("expression", ""))


def evaluation_order(bands: tuple[Band, ...]) -> list[Band]:
    """Return the expressions among bands, each after those it needs; those in a circle are left out."""
    pending = [band for band in bands if band.derive == EXPRESSION]
    ordered: list[Band] = []
    while pending:
        waiting = {band.name for band in pending}
        ready = [band for band in pending if not waiting & set(band.inputs.values())]
        if not ready:
            return ordered
        ordered += ready
        pending = [band for band in pending if band not in ready]
    return ordered


def expression_problems(bands: tuple[Band, ...]) -> list[Problem]:
    """Return errors of formulae that cannot be parsed, use variables without input, or need each other in a circle."""
    problems = [found for band in bands if band.derive == EXPRESSION for found in _problems(band)]
    ordered = evaluation_order(bands)
    circle = [band.name for band in bands if band.derive == EXPRESSION and band not in ordered]
    if circle:
        problems.append(
            Problem(
                "expression_circle",
                f"Bands {', '.join(circle)} need each other, so none can be computed first.",
                "Let one of them use bands of a layer only.",
            )
        )
    return problems


def _problems(band: Band) -> list[Problem]:
    try:
        variables = parsed(formula(band)).variables
    except GeoSegError as error:
        return [Problem(error.code, f"Band '{band.name}': {error.message}", error.hint)]
    unknown = [name for name in variables if name not in band.inputs]
    if not unknown:
        return []
    place = formula(band).find(unknown[0]) + 1
    return [
        Problem(
            "unknown_variable",
            f"Band '{band.name}': the expression '{formula(band)}' uses '{unknown[0]}' at character {place}, which "
            "is not assigned to a band.",
            f"Assign a band to it, or use one of: {', '.join(sorted(band.inputs)) or 'none'}.",
        )
    ]
