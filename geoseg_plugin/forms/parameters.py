"""Processing parameters of declared settings, and reading them back as fields of a job."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..contract import Param, choices_of, default_of, params_of, types_of
from .fields import MAX_WHOLE, plain_type
from .texts import has_default, toolbox_title, tr

Number = Qgis.ProcessingNumberParameterType


def key_of(cls: type, name: str) -> str:
    """Return the parameter key of a field: as declared, else its name in upper case."""
    return params_of(cls)[name].key or name.upper()


def add_fields(
    algorithm: QgsProcessingAlgorithm,
    cls: type,
    names: Iterable[str],
    advanced: bool = False,
    owner: Any = None,
    prefix: str = "",
) -> None:
    """Add a parameter per field to an algorithm.

    Args:
        algorithm: in its `initAlgorithm`.
        cls: dataclass that declares the fields.
        names: of the fields, in the order of the dialog.
        advanced: put them into the folded part of the dialog.
        owner: object whose values are the defaults, where a job has others than the dataclass; as a job's `cleaning`.
        prefix: of the keys, where an algorithm has settings of several jobs.
    """
    for name in names:
        parameter = parameter_of(cls, name)
        parameter.setName(prefix + parameter.name())
        if owner is not None:
            value = getattr(owner, name)
            parameter.setDefaultValue(str(value) if choices_of(cls, name) else value)
        if advanced:
            parameter.setFlags(parameter.flags() | Qgis.ProcessingParameterFlag.Advanced)
        algorithm.addParameter(parameter)


def parameter_of(cls: type, name: str) -> QgsProcessingParameterDefinition:
    """Return the parameter of a declared field.

    Args:
        cls: dataclass that declares it.
        name: of the field.

    Raises:
        TypeError: for a field of a type that no parameter holds, such as bands.
    """
    param, key, title = params_of(cls)[name], key_of(cls, name), toolbox_title(cls, name)
    default = default_of(cls, name) if has_default(cls, name) else None
    kind, optional = plain_type(types_of(cls)[name])
    parameter: QgsProcessingParameterDefinition
    if choices_of(cls, name):
        parameter = _choice(cls, name, key, title, default)
    elif kind is bool:
        parameter = QgsProcessingParameterBoolean(key, title, default, optional)
    elif kind in (int, float):
        parameter = _number(param, kind, key, title, default, optional)
    elif param.reads:
        parameter = QgsProcessingParameterFile(
            key,
            title,
            Qgis.ProcessingFileParameterBehavior.File,
            optional=has_default(cls, name),
            fileFilter=_filter(param),
        )
    elif kind is str or typing.get_origin(kind) is tuple:
        parameter = QgsProcessingParameterString(key, title, default or None, False, not default)
    else:
        raise TypeError(f"No parameter holds {cls.__name__}.{name}.")
    parameter.setHelp(tr(param.about))
    return parameter


def fields_from(
    algorithm: QgsProcessingAlgorithm,
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
    cls: type,
    names: Iterable[str],
    prefix: str = "",
) -> dict[str, Any]:
    """Return the values of parameters as fields of a job: the inverse of `add_fields`.

    Args:
        algorithm: that has the parameters.
        parameters: as QGIS hands them over, names of options instead of their numbers.
        context: of the run.
        cls: dataclass that declares the fields.
        names: of the fields.
        prefix: as for `add_fields`.
    """
    return {name: _value(algorithm, dict(parameters), context, cls, name, prefix) for name in names}


def listed(text: str) -> tuple[str, ...]:
    """Return `red, nir` as ("red", "nir")."""
    return tuple(part for part in (part.strip() for part in text.split(",")) if part)


def _choice(cls: type, name: str, key: str, title: str, default: Any) -> QgsProcessingParameterEnum:
    several = params_of(cls)[name].several
    chosen = list(default) if isinstance(default, tuple) else [default] if several else str(default)
    options = [str(item) for item in choices_of(cls, name)]
    return QgsProcessingParameterEnum(key, title, options, several, chosen, several, True)


def _filter(param: Param) -> str:
    """Files to choose from; a run folder and names such as `imagenet` may be written instead."""
    suffix = param.in_folder.rpartition(".")[2]
    return tr("Files (*.{});;All files (*)").format(suffix) if suffix else tr("All files (*)")


def _number(
    param: Param, kind: type, key: str, title: str, default: Any, optional: bool
) -> QgsProcessingParameterNumber:
    whole = kind is int
    parameter = QgsProcessingParameterNumber(
        key, title, Number.Integer if whole else Number.Double, default, optional
    )
    low = param.low if default is None or param.low is None else min(param.low, default)
    if low is not None:
        parameter.setMinimum(low)
    if param.high is not None:
        parameter.setMaximum(min(param.high, MAX_WHOLE) if whole else param.high)
    return parameter


def _value(
    algorithm: QgsProcessingAlgorithm,
    given: dict[str, Any],
    context: QgsProcessingContext,
    cls: type,
    name: str,
    prefix: str,
) -> Any:
    key, param = prefix + key_of(cls, name), params_of(cls)[name]
    kind, optional = plain_type(types_of(cls)[name])
    if choices_of(cls, name):
        return _chosen(algorithm, given, context, cls, name, prefix)
    if optional and given.get(key) in (None, ""):
        return None
    if kind is bool:
        return algorithm.parameterAsBoolean(given, key, context)
    if kind is int:
        return algorithm.parameterAsInt(given, key, context)
    if kind is float:
        return algorithm.parameterAsDouble(given, key, context)
    text = algorithm.parameterAsString(given, key, context)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(item(part) for part in listed(text) if item is str or part.lstrip("-").isdigit())
    return text if param.reads else text.strip()


def _chosen(
    algorithm: QgsProcessingAlgorithm,
    given: dict[str, Any],
    context: QgsProcessingContext,
    cls: type,
    name: str,
    prefix: str,
) -> Any:
    key, default = prefix + key_of(cls, name), default_of(cls, name)
    if not params_of(cls)[name].several:
        text = algorithm.parameterAsEnumString(given, key, context)
        return next((item for item in choices_of(cls, name) if str(item) == text), text)
    texts = algorithm.parameterAsEnumStrings(given, key, context)
    return ("+".join(texts) or default) if isinstance(default, str) else (tuple(texts) or default)
