"""Every colour GeoSeg gives by itself. All sets stay apart for colour-blind eyes."""

from __future__ import annotations

CLASS_COLORS = (
    "#d55e00",
    "#0072b2",
    "#009e73",
    "#e69f00",
    "#cc79a7",
    "#56b4e9",
    "#8c6d31",
    "#7b3294",
    "#b2b2b2",
    "#1b1b1b",
)
"""Okabe and Ito (2008), more saturated ones first, then four that differ from them in lightness."""

CONFIDENCE_STOPS = (
    (0.0, "#2d0f4f"),
    (0.25, "#423f85"),
    (0.5, "#26828e"),
    (0.75, "#4dbf6c"),
    (0.9, "#bddf26"),
    (1.0, "#fde725"),
)
"""Confidence 0 to 1, dark to light, after viridis (Smith and van der Walt 2015). The same in every run."""

ENTROPY_STOPS = (
    (0.0, "#fcfdbf"),
    (0.25, "#fe9f6d"),
    (0.5, "#de4968"),
    (0.75, "#8c2981"),
    (1.0, "#1d1147"),
)
"""Entropy 0 (sure) to 1 (all classes alike), light to dark, after magma."""

RIGHT, WRONG = "#c8c8c8", "#e5007d"
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = RIGHT, "#e69f00", "#2f8fdd"
"""What is right is a grey veil, so that it does not look like one more class of the map below."""

DISAGREEMENT_STOPS = tuple((value / 2, color) for value, color in ENTROPY_STOPS)
"""Disagreement as entropy, but to 0.5: more than half of the uncertainty is hardly ever due to it."""

BEYOND_COLORS = ("#fed976", "#fd8d3c", "#e31a1c", "#800026")
"""One band beyond the range of training, two, three, more: after ColorBrewer's YlOrRd (Harrower and Brewer 2003)."""

SPLIT_COLORS = {
    "train": "#0072b2",
    "validation": "#e69f00",
    "test": "#c51b7d",
    "unused": "#9a9a9a",
}


def class_color(index: int) -> str:
    """The colour of the class number `index`, from 0; after the last one they start again."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


FINDING_COLORS = ("#ff2fd0", "#ffe600", "#00e5ff", "#ff7a00", "#7dff3a", "#ff4d4d", "#b48cff", "#ffffff")
"""Kinds of fault: bright, so that they are visible on any map."""

UNSEEN_POINT = "#ffe600"
"""A point of a reference sample that is not interpreted yet."""
