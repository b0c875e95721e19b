"""One example, or more, of every kind of job."""

from geoseg_engine.contract import (
    Area,
    AreasJob,
    Band,
    BandSet,
    CheckJob,
    CleanJob,
    CompareJob,
    Contender,
    CrossValidateJob,
    DescribeJob,
    EvaluateJob,
    ExportChipsJob,
    ForestJob,
    GridRequest,
    InspectJob,
    LabelClass,
    LabelLayer,
    Labels,
    MapJob,
    PolygonizeJob,
    PredictJob,
    PretrainJob,
    PreviewJob,
    ProbeJob,
    RasterizeJob,
    SampleJob,
    SearchJob,
    Series,
    Source,
    StackJob,
    SummarizeJob,
    TerrainJob,
    TileJob,
    TrainJob,
)

LABELS = Labels("a.gpkg", class_field="class", classes=(LabelClass(0, "field", "field", "#00ff00"),))
SOURCES = (Source("r1", "a.tif", nodata=-9999.0), Source("r2", "b.tif", crs="EPSG:4326"))
BANDS = (Band("red", "r1", 3), Band("slope", "r2", derive="slope"))
SERIES = Source(
    "t1", "a.nc", kind="series", series=Series(("NDVI",), start="2019-01-01", mask="CLM", clear=(0.0,))
)
DERIVED = (
    Band("median", "t1", derive="percentile", parameters={"percent": 50.0}, fill="median", scaling="robust"),
    Band("ratio", derive="expression", parameters={"expression": "a / b"}, inputs={"a": "red", "b": "near"}),
)
NEAR = (Band("near", "r1", 4), Band("red", "r1", 3))
MANY = Labels("a.gpkg", more=(LabelLayer("b.gpkg", name="road"),), excluded=("cloud",), border_px=1)
EXAMPLES = [
    StackJob((*SOURCES, SERIES), DERIVED, labels=MANY, intermediates=NEAR),
    SummarizeJob(sources=SOURCES, bands=BANDS),
    InspectJob("a.nc"),
    ExportChipsJob("dataset.json", layout="arcgis"),
    StackJob(SOURCES, BANDS, GridRequest("r2", "EPSG:32632", (10, 5)), Area("concave_hull"), LABELS),
    TerrainJob(SOURCES[0], ("slope",)),
    RasterizeJob("stack.tif", LABELS, Area("extent", extent=(0, 1, 2, 3))),
    TileJob("stack.tif", "labels.tif", 128, 64, (0.5, 0.25, 0.25)),
    CheckJob(SOURCES, LABELS, BANDS),
    TrainJob("dataset.json", max_minutes=3),
    ForestJob("dataset.json", texture_px=(3, 5)),
    PretrainJob("dataset.json"),
    PreviewJob(TrainJob("dataset.json", loss="ce+lovasz")),
    CrossValidateJob(TrainJob("dataset.json")),
    SearchJob(TrainJob("dataset.json")),
    CompareJob(
        "dataset.json",
        (Contender("forest", baseline=ForestJob("")), Contender("unet", TrainJob("", augment=("flip",)))),
        (BandSet("optical", ("red", "nir")),),
    ),
    PredictJob("model.onnx", SOURCES, (0.0, 0.0, 1.0, 1.0)),
    EvaluateJob("dataset.json", "model.onnx"),
    PolygonizeJob("classes.tif"),
    CleanJob("classes.tif"),
    AreasJob("classes.tif"),
    MapJob(
        SOURCES,
        LABELS,
        "kind",
        BANDS,
        network=TrainJob("", epochs=3),
        prediction=PredictJob("", entropy="e.tif"),
    ),
    SampleJob("classes.tif"),
    DescribeJob("model.onnx"),
    ProbeJob(),
]
