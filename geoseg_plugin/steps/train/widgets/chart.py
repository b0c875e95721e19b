"""Live curves of a training run: losses above, validation IoU below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QToolTip, QWidget

from ....panel.texts import share, tr
from ....panel.widgets.shades import faint, ink, paper

TRAIN, VALIDATION, IOU, BEST = "#56b4e9", "#e69f00", "#2aa876", "#d55e00"
Curve = list[tuple[int, float]]


class TrainingChart(QWidget):
    """Draws epochs as they come; its colours suit colour-blind users and dark themes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._epochs: list[dict[str, Any]] = []
        self._classes: list[tuple[str, str]] = []
        self._shown: set[int] = set()
        self.monitor, self._monitor_name = "miou", tr("validation IoU")
        self.setMinimumHeight(210)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Training curves"))

    def sizeHint(self) -> QSize:
        return QSize(320, round(self.fontMetrics().height() * 14))

    def clear(self) -> None:
        """Forget all epochs."""
        self._epochs = []
        self.update()

    def add_epoch(self, event: dict[str, Any]) -> None:
        """Add the `epoch` event of the engine; a repeated epoch (after resuming) replaces its forerunner."""
        number = int(event.get("epoch", len(self._epochs) + 1))
        self._epochs = [item for item in self._epochs if int(item.get("epoch", 0)) < number]
        self._epochs.append(event)
        self.setAccessibleDescription(self.describe(event))
        self.update()

    def set_classes(self, classes: Sequence[tuple[str, str]]) -> None:
        """Set names and colours of the classes, in the order of their ids; none is drawn until it is chosen."""
        self._classes, self._shown = list(classes), set()
        self.update()

    def set_monitor(self, monitor: str, name: str) -> None:
        """Draw the score that decides which epoch is kept: as TrainJob.monitor, and its name."""
        self.monitor, self._monitor_name = monitor, name
        self.update()

    def show_class(self, index: int, shown: bool) -> None:
        """Draw the validation IoU of one class, or not."""
        (self._shown.add if shown else self._shown.discard)(index)
        self.update()

    def kept(self) -> dict[str, Any] | None:
        """Return the epoch whose weights are kept: the last that was called best, or that of the highest score."""
        named = [item for item in self._epochs if item.get("best")]
        scored = [item for item in self._epochs if score_of(item, self.monitor) is not None]
        best = max(scored, key=lambda item: score_of(item, self.monitor) or 0.0, default=None)
        return named[-1] if named else best

    def epochs(self) -> list[dict[str, Any]]:
        """Return the epochs drawn, oldest first."""
        return list(self._epochs)

    def describe(self, event: dict[str, Any]) -> str:
        """Return one epoch as text."""
        return tr("Epoch {}: training loss {}, validation loss {}, validation IoU {}").format(
            event.get("epoch"),
            share(number(event, "train_loss")),
            share(number(event, "validation_loss")),
            share(number(event, "miou")),
        )

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), paper(self))
        if not self._epochs:
            painter.setPen(faint(self, paper(self)))
            text = tr("Loss and IoU of a network appear here, epoch by epoch")
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)
            return
        upper, lower = self._panels()
        losses = [(self._curve("train_loss"), TRAIN), (self._curve("validation_loss"), VALIDATION)]
        values = [value for curve, _color in losses for _epoch, value in curve]
        top = max(values, default=1.0) * 1.08 or 1.0
        self._draw_panel(painter, upper, losses, top, False)
        shown = [(self._class_curve(index), self._classes[index][1]) for index in sorted(self._shown)]
        self._draw_panel(painter, lower, [(self._score_curve(), IOU), *shown], 1.0, True)
        self._draw_legend(painter, upper, [(tr("training loss"), TRAIN), (tr("validation loss"), VALIDATION)])
        self._draw_legend(painter, lower, [(self._monitor_name, IOU), (tr("kept"), BEST)])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not self._epochs:
            return
        upper, _lower = self._panels()
        x = event.pos().x()
        nearest = min(self._epochs, key=lambda item: abs(self._x(upper, int(item["epoch"])) - x))
        QToolTip.showText(self.mapToGlobal(event.pos()), self.describe(nearest), self)

    def _panels(self) -> tuple[QRectF, QRectF]:
        line = self.fontMetrics().height()
        left = self.fontMetrics().horizontalAdvance("0.00") + 10
        width = self.width() - left - 12
        height = (self.height() - 4.6 * line) / 2
        upper = QRectF(left, line * 1.5, width, height)
        return upper, QRectF(left, upper.bottom() + line * 1.7, width, height)

    def _span(self) -> tuple[int, int]:
        first = int(self._epochs[0]["epoch"])
        return first, max(int(self._epochs[-1]["epoch"]), first + 4)

    def _x(self, panel: QRectF, epoch: int) -> float:
        first, last = self._span()
        return panel.left() + panel.width() * (epoch - first) / (last - first)

    def _curve(self, key: str) -> Curve:
        pairs = [(int(item["epoch"]), number(item, key)) for item in self._epochs]
        return [(epoch, value) for epoch, value in pairs if value is not None]

    def _score_curve(self) -> Curve:
        pairs = [(int(item["epoch"]), score_of(item, self.monitor)) for item in self._epochs]
        return [(epoch, value) for epoch, value in pairs if value is not None]

    def _class_curve(self, index: int) -> Curve:
        rows = [(int(item["epoch"]), item.get("iou") or []) for item in self._epochs]
        found = [(epoch, row[index]) for epoch, row in rows if index < len(row)]
        return [(epoch, float(value)) for epoch, value in found if isinstance(value, (int, float))]

    def _draw_panel(
        self, painter: QPainter, panel: QRectF, curves: list[tuple[Curve, str]], top: float, is_last: bool
    ) -> None:
        text = ink(self, paper(self))
        line = self.fontMetrics().height()
        for step in (0.0, 0.5, 1.0):
            y = panel.bottom() - panel.height() * step
            painter.setPen(QPen(faint(self, paper(self), 0.18), 1))
            painter.drawLine(QPointF(panel.left(), y), QPointF(panel.right(), y))
            painter.setPen(text)
            box = QRectF(0, y - line / 2, panel.left() - 5, line)
            painter.drawText(
                box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{top * step:.2f}"
            )
        for curve, color in curves:
            points = [self._point(panel, epoch, value, top) for epoch, value in curve]
            thin = is_last and color != IOU
            painter.setPen(QPen(QColor(color), 1.5 if thin else 2))
            painter.setBrush(QColor(color))
            if len(points) > 1:
                painter.drawPolyline(QPolygonF(points))
            for point in points[-1:] if len(points) > 1 else points:
                painter.drawEllipse(point, 2.5, 2.5)
        if is_last:
            self._draw_best(painter, panel, top)
            self._draw_epochs(painter, panel)
            painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_best(self, painter: QPainter, panel: QRectF, top: float) -> None:
        event = self.kept()
        value = score_of(event, self.monitor) if event is not None else None
        if event is None or value is None:
            return
        painter.setPen(QPen(QColor(BEST), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(self._point(panel, int(event["epoch"]), value, top), 5.0, 5.0)

    def _draw_epochs(self, painter: QPainter, panel: QRectF) -> None:
        painter.setPen(ink(self, paper(self)))
        first, last = self._span()
        line = self.fontMetrics().height()
        box = QRectF(panel.left() - 10, panel.bottom() + 2, panel.width() + 20, line)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, str(first))
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, tr("epoch"))
        painter.drawText(box, Qt.AlignmentFlag.AlignRight, str(last))

    def _draw_legend(self, painter: QPainter, panel: QRectF, entries: list[tuple[str, str]]) -> None:
        metrics = self.fontMetrics()
        x, y = panel.left(), panel.top() - metrics.height() * 0.55
        for text, color in entries:
            if color == BEST:
                painter.setPen(QPen(QColor(color), 1.5))
                painter.drawEllipse(QPointF(x + 7, y), 4.5, 4.5)
            else:
                painter.setPen(QPen(QColor(color), 3))
                painter.drawLine(QPointF(x, y), QPointF(x + 14, y))
            painter.setPen(ink(self, paper(self)))
            painter.drawText(QPointF(x + 19, y + metrics.ascent() * 0.4), text)
            x += 19 + metrics.horizontalAdvance(text) + 16

    def _point(self, panel: QRectF, epoch: int, value: float, top: float) -> QPointF:
        return QPointF(self._x(panel, epoch), panel.bottom() - panel.height() * min(value / top, 1.0))


def number(event: dict[str, Any], key: str) -> float | None:
    """Return a number of an event; None where there is none (or NaN, which events carry as null)."""
    value = event.get(key)
    return float(value) if isinstance(value, (int, float)) else None


def score_of(event: dict[str, Any], monitor: str) -> float | None:
    """Return the score of an epoch that is drawn; where the loss decides, which is drawn above, mean IoU."""
    iou = event.get("iou") or []
    if monitor == "foreground_iou" and len(iou) == 2:
        return float(iou[1]) if isinstance(iou[1], (int, float)) else None
    if monitor == "f1":
        known = [float(value) for value in event.get("f1") or [] if isinstance(value, (int, float))]
        return sum(known) / len(known) if known else None
    return number(event, "miou")
