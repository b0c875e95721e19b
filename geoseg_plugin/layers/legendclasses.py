"""Classes that a legend makes by ranges or rules: named feature by feature, as the map draws them."""

from __future__ import annotations

from dataclasses import dataclass, field

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeature,
    QgsFeatureRenderer,
    QgsFeatureRequest,
    QgsFields,
    QgsGraduatedSymbolRenderer,
    QgsProject,
    QgsRenderContext,
    QgsRuleBasedRenderer,
    QgsVectorLayer,
)

LEGEND_FIELD = "geoseg_legend"
"""Means the legend where a class field is chosen; the text field of that name in a written copy."""

MAX_LOOKED_AT = 5_000
"""Layers with more features are not searched for legend entries that no feature has."""


@dataclass(frozen=True)
class LegendEntry:
    """One entry of a legend: its key in the renderer, the class's name and colour."""

    key: str
    name: str
    color: str


@dataclass
class LegendNamer:
    """Names the class of a feature by a renderer of its own, in any thread, one at a time.

    Attributes:
        renderer: a copy of its own.
        entries: of the legend, in its order; where several fit, the last (drawn uppermost) counts.
        variables: global ones and the project's, copied on the main thread.
    """

    renderer: QgsFeatureRenderer
    entries: tuple[LegendEntry, ...]
    variables: QgsExpressionContext = field(default_factory=QgsExpressionContext)
    context: QgsRenderContext = field(default_factory=QgsRenderContext)

    def start(self, fields: QgsFields) -> None:
        """Get ready for features with these fields."""
        expressions = QgsExpressionContext(self.variables)
        expressions.setFields(fields)
        self.context.setExpressionContext(expressions)
        self.context.setRendererScale(0)
        self.renderer.startRender(self.context, fields)

    def name(self, feature: QgsFeature) -> str | None:
        """The class of a feature; None if the legend does not draw it."""
        self.context.expressionContext().setFeature(feature)
        if isinstance(self.renderer, QgsRuleBasedRenderer):
            keys = rule_keys(self.renderer.rootRule(), feature, self.context)
        else:
            keys = self.renderer.legendKeysForFeature(feature, self.context)
        return next((entry.name for entry in reversed(self.entries) if entry.key in keys), None)

    def stop(self) -> None:
        """After the last feature."""
        self.renderer.stopRender(self.context)


def rule_keys(rule: QgsRuleBasedRenderer.Rule, feature: QgsFeature, context: QgsRenderContext) -> set[str]:
    """Keys of the rules that draw a feature; ELSE counts where no sister fits.

    `legendKeysForFeature` passes over ELSE where the rule above has a symbol of its own.

    Args:
        rule: of a rule-based legend.
        feature: to be drawn.
        context: that the renderer was started with.
    """
    found: set[str] = set()
    active = [child for child in rule.children() if child.active()]
    for child in active:
        if not child.isElse() and child.isFilterOK(feature, context):
            found |= {child.ruleKey()} | rule_keys(child, feature, context)
    if found:
        return found
    for child in active:
        if child.isElse():
            found |= {child.ruleKey()} | rule_keys(child, feature, context)
    return found


def has_legend_classes(layer: QgsVectorLayer) -> bool:
    """Whether the legend makes classes that no field holds: by ranges, by rules or by an expression."""
    renderer = layer.renderer()
    if isinstance(renderer, QgsCategorizedSymbolRenderer):
        name = renderer.classAttribute().strip().strip('"')
        return bool(name) and layer.fields().lookupField(name) < 0
    return isinstance(renderer, (QgsGraduatedSymbolRenderer, QgsRuleBasedRenderer))


def legend_namer(layer: QgsVectorLayer) -> LegendNamer:
    """What names the classes of a layer's features as its legend does now. Main thread."""
    variables = QgsExpressionContext()
    variables.appendScope(QgsExpressionContextUtils.globalScope())
    variables.appendScope(QgsExpressionContextUtils.projectScope(QgsProject.instance()))
    return LegendNamer(layer.renderer().clone(), legend_items(layer), variables)


def legend_items(layer: QgsVectorLayer) -> tuple[LegendEntry, ...]:
    """Entries of the legend in its order; rules that only group other rules are left out, hidden ones too."""
    items = layer.renderer().legendSymbolItems()
    parents = {item.parentRuleKey() for item in items}
    found = []
    for number, item in enumerate(items, 1):
        if item.symbol() is None or item.ruleKey() in parents:
            continue
        if not layer.renderer().legendSymbolItemChecked(item.ruleKey()):
            continue
        name = item.label().strip() or f"class {number}"
        found.append(LegendEntry(item.ruleKey(), name, item.symbol().color().name()))
    return tuple(found)


def legend_classes(layer: QgsVectorLayer) -> list[tuple[str, str, str]]:
    """(value, name, colour) of the legend's classes; the value is the name. Entries of one name are one class.

    In layers that are not too long, entries without a feature are left out.
    """
    entries = {item.name: (item.name, item.name, item.color) for item in reversed(legend_items(layer))}
    ordered = list(reversed(entries.values()))
    if not 0 <= layer.featureCount() <= MAX_LOOKED_AT:
        return ordered
    namer = legend_namer(layer)
    namer.start(layer.fields())
    request = QgsFeatureRequest()
    if not namer.renderer.filterNeedsGeometry():
        request.setFlags(Qgis.FeatureRequestFlag.NoGeometry)
    seen = {namer.name(feature) for feature in layer.getFeatures(request)}
    namer.stop()
    return [item for item in ordered if item[0] in seen]
