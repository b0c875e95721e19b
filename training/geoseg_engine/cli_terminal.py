"""Events as sentences for a person at a terminal, with one line of progress that is written over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

LONGEST_LIST = 12
IN_THE_FILES = ("trained", "reliability", "tiles")
"""Long facts of scores that a person looks up in metrics.json or the report."""
BLANK = "\r\x1b[K"
"""Back to the start of the line, and the line wiped."""


class Sentences:
    """Takes the place of the events' stream: reads each event and writes what it means.

    Attributes:
        terminal: where the sentences go.
    """

    def __init__(self, terminal: TextIO) -> None:
        self.terminal = terminal
        self._in_progress = False

    def write(self, line: str) -> None:
        """Take one event as its line of JSON."""
        event = json.loads(line)
        if event["type"] == "progress":
            width = shutil.get_terminal_size().columns - 1
            self.terminal.write(BLANK + progress_line(event)[:width])
            self._in_progress = True
            return
        lines = sentences(event)
        if lines and self._in_progress:
            self.terminal.write(BLANK)
            self._in_progress = False
        self.terminal.writelines(f"{text}\n" for text in lines)

    def flush(self) -> None:
        self.terminal.flush()


def progress_line(event: Mapping[str, Any]) -> str:
    """`stacking: 45 % (9 of 20), 31 Mpx/s`."""
    done, total = event.get("done") or 0, event.get("total") or 0
    share = f"{100 * done / total:.0f} % ({number(done)} of {number(total)})" if total else number(done)
    return ", ".join(filter(None, (f"{event.get('phase', '')}: {share}", str(event.get("rate") or ""))))


def sentences(event: Mapping[str, Any]) -> list[str]:
    """What an event says to a person; nothing for those that only programs need."""
    kind = event["type"]
    if kind == "log":
        level = event.get("level", "info")
        return [event["text"] if level == "info" else f"{level.capitalize()}: {event['text']}"]
    if kind == "epoch":
        return [epoch_line(event)]
    if kind == "artifact":
        return [f"Wrote {event['path']}"]
    if kind == "failed":
        return [f"Error: {event['message']} {event['hint']}".rstrip() + f" [{event['code']}]"]
    return done_lines(event.get("result") or {}) if kind == "done" else []


def epoch_line(event: Mapping[str, Any]) -> str:
    """`Epoch 3 of 60: loss 0.412 / 0.455, mean IoU 0.701, kept so far, 4 min left`."""
    parts = [f"loss {number(event.get('train_loss'))} / {number(event.get('validation_loss'))}"]
    parts.append(f"mean IoU {number(event.get('miou'))}")
    if event.get("best"):
        parts.append("kept so far")
    if event.get("seconds_left"):
        parts.append(f"{event['seconds_left'] / 60:.0f} min left")
    return f"Epoch {event.get('epoch')} of {event.get('epochs')}: {', '.join(parts)}"


def done_lines(result: Mapping[str, Any]) -> list[str]:
    """A result: its sentence first, then its facts; warnings with their cure last."""
    facts = without_repeats(
        {key: item for key, item in result.items() if key not in ("sentence", "warnings", "problems")}
    )
    lines = [str(result["sentence"])] if result.get("sentence") else []
    if facts.keys() >= {"rows", "score"}:
        lines += [*comparison_lines(facts.pop("rows"), facts.pop("score")), ""]
    lines += [*fact_lines(facts), *score_lines(result)]
    shown = [item for key in ("warnings", "problems") for item in result.get(key) or ()]
    parameter_problems = [
        f"{str(item.get('severity', 'warning')).capitalize()}: {item.get('message', '')} {item.get('hint', '')}"
        for item in shown
        if isinstance(item, Mapping)
    ]
    return [*lines, *dict.fromkeys(text.rstrip() for text in parameter_problems), "Done."]


def without_repeats(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without those that were said already or that a file of scores holds; class ids become names."""
    spare = IN_THE_FILES if facts.get("metrics") else ()
    kept = {key: item for key, item in facts.items() if key not in spare}
    if kept.get("reasons") and isinstance(kept.get("plan"), Mapping):
        kept["plan"] = {key: item for key, item in kept["plan"].items() if key != "reasons"}
    names = {str(item["id"]): item["name"] for item in kept.get("classes") or () if isinstance(item, Mapping)}
    return {
        key: [{"class": names[id_], "amount": amount} for id_, amount in item.items()]
        if isinstance(item, Mapping) and names and item and item.keys() <= names.keys()
        else item
        for key, item in kept.items()
    }


def score_lines(result: Mapping[str, Any]) -> list[str]:
    """The score in one sentence, beside what naming the largest class everywhere would reach."""
    scores = result.get("scores", result)
    if not isinstance(scores, Mapping) or not {"miou", "accuracy", "majority_accuracy"} <= scores.keys():
        return []
    compared = (
        f"by '{result['truth']}'" if result.get("truth") else f"on the split '{result.get('split', '')}'"
    )
    return [
        f"Mean IoU {digits(scores['miou'])} {compared}, {scores['pixels']} pixels. "
        f"Accuracy {digits(scores['accuracy'])}; naming '{scores['majority_class']}' everywhere would reach "
        f"{digits(scores['majority_accuracy'])}."
    ]


def comparison_lines(rows: list[Mapping[str, Any]], score: str) -> list[str]:
    """The table of a comparison, the best model first."""
    title = "IoU" if score == "foreground_iou" else "mean IoU"
    short: list[Mapping[str, Any]] = [
        {
            "rank": row["rank"],
            "model": row["model"],
            "bands": row["bands"],
            title: digits(row["iou"]),
            "95 %": " to ".join(digits(end) for end in row["interval"] or ()),
            "spread": digits(row["spread"]),
            "accuracy": digits(row["accuracy"]),
            "training s": f"{row['train_s']:.0f}",
            "prediction s": number(row["predict_s"]),
            "MB": number(row["size_mb"]),
        }
        for row in rows
    ]
    return table(short)


def digits(value: float | None) -> str:
    """A score as people compare it: three digits, a dash for none."""
    return "–" if value is None else f"{value:.3f}"


def fact_lines(data: Mapping[str, Any], indent: str = "") -> list[str]:
    """Nested data as indented `key: value` lines; objects of one kind as a table."""
    lines: list[str] = []
    for key, item in data.items():
        name = f"{indent}{str(key).replace('_', ' ')}:"
        if isinstance(item, Mapping) and item:
            lines += [name, *fact_lines(item, indent + "  ")]
        elif isinstance(item, list) and item and all(isinstance(part, Mapping) for part in item):
            lines += [name, *(f"{indent}  {line}" for line in table(item))]
        elif isinstance(item, list) and any(stands_alone(part) for part in item):
            lines += [name, *(f"{indent}  {value_text(part)}" for part in item)]
        elif item not in ("", None, [], {}):
            lines.append(f"{name} {value_text(item)}")
    return lines


def stands_alone(part: Any) -> bool:
    """Whether an item of a list needs a line of its own: a row of a matrix, or words with commas."""
    return isinstance(part, list) or (isinstance(part, str) and ", " in part)


def table(rows: list[Mapping[str, Any]]) -> list[str]:
    """Rows under the names of their plain values; longer things inside are left out."""
    keys = [
        key
        for key in dict.fromkeys(key for row in rows for key in row)
        if any(
            not isinstance(row.get(key), (Mapping, list)) and row.get(key) not in ("", None) for row in rows
        )
    ]
    cells = [[key.replace("_", " ") for key in keys]]
    cells += [[value_text(row.get(key)) if key in row else "" for key in keys] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(keys))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def value_text(value: Any) -> str:
    """A plain value, or the first of a list of them."""
    if isinstance(value, list):
        return listed(value_text(item) for item in value)
    if isinstance(value, Mapping):
        return listed(f"{key} {value_text(item)}" for key, item in value.items())
    return number(value)


def listed(items: Iterable[str]) -> str:
    """The first dozen, and how many there are if that is not all."""
    texts = list(items)
    more = [f"… ({len(texts)} in all)"] if len(texts) > LONGEST_LIST else []
    return ", ".join(texts[:LONGEST_LIST] + more)


def number(value: Any) -> str:
    """A number as people write it: four digits of a fraction, yes and no, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 10_000 else f"{value}"
