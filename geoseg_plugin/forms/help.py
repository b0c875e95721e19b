"""Help pages of algorithms: prose from a file, and the declared settings that it does not mention."""

from __future__ import annotations

import re

from qgis.core import QgsProcessingAlgorithm

OUTPUTS = "<h3>Outputs</h3>"


def help_text(algorithm: QgsProcessingAlgorithm, prose: str) -> str:
    """Return the help of an algorithm in one line: QGIS makes a paragraph of every line.

    Args:
        algorithm: whose parameters carry a help text where the contract declares them.
        prose: HTML of its page; parameters that it names by their key, as (SEED), are explained there.
    """
    missing = [
        f"<p><b>{item.description()}</b> ({item.name()}): {item.help()}</p>"
        for item in algorithm.parameterDefinitions()
        if item.help() and not re.search(rf"\b{item.name()}\b", prose)
    ]
    before, heading, after = prose.partition(OUTPUTS)
    return " ".join(" ".join((before, *missing, heading, after)).split())
