"""The stages of a map job: what each is made from now, the job that makes it, and where its results are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .addresses import file_exists, split_address
from .baseline_jobs import ForestJob
from .catalogue import CATALOGUE
from .codec import encode
from .contents import layer_state, raster_state
from .data import Area, LabelLayer, Labels, Source
from .data_jobs import RECIPE_SUFFIX, RasterizeJob, StackJob
from .job import Job
from .map_jobs import FEW_PIXELS, RECORD_FILE, MapJob, evaluation_of
from .parameter import params_of
from .prediction_jobs import PredictJob
from .run_files import MODEL_FILE
from .stages import Made, Parts, StageState, read_record, states
from .training_jobs import TrainJob

STACK_FILE, LABELS_FILE, DATASET_FILE = f"stack{RECIPE_SUFFIX}", "labels.tif", "dataset.json"
DATASET, MODEL, FINAL, EVALUATION, JOBS = "dataset", "model", "final", "evaluation", "jobs"
ALL_LABELS = f"{FINAL}/{DATASET}"
FILES = {
    "stack": (STACK_FILE,),
    "labels": (f"{DATASET}/{LABELS_FILE}", f"{DATASET}/labels.classes.json"),
    "split": (f"{DATASET}/{DATASET_FILE}", f"{DATASET}/split.tif"),
    "model": (f"{MODEL}/{MODEL_FILE}",),
    "final": (f"{FINAL}/{MODEL_FILE}",),
    "accuracy": (f"{EVALUATION}/metrics.json",),
}
"""Stage -> results that must be as it left them, in the folder of the map; those of the map are named by the job."""
SET_BY_THE_MAP = frozenset(
    (
        "dataset",
        "stack",
        "labels",
        "area",
        "output",
        "dry_run",
        "resume",
        "device",
        "tensorboard",
        "model",
        "sources",
        "method",
        "architecture",
        "encoder",
        "split_from",
        "every_block",
        "settings_from",
        "shard",
        "extent",
        "extent_crs",
        "core_px",
        "runtime",
        "split_areas",
    )
)
"""Fields of inner jobs that the map sets itself or that change no result; the others are parts of their stage."""
OUTPUTS = ("output", "confidence", "entropy", "probability", "margin", "disagreement", "beyond", "polygons")
"""Fields of a prediction that name files, in the folder of the map."""


def settings_of(value: Any, without: Iterable[str] = SET_BY_THE_MAP) -> dict[str, Any]:
    """Return title -> value of the declared settings of a job or of what a job is made of.

    Args:
        value: an instance of a dataclass; fields without a declaration go by their names.
        without: names of fields that are left out.
    """
    params, left_out = params_of(type(value)), set(without)
    return {
        params[item.name].title if item.name in params else item.name.replace("_", " ").capitalize(): encode(
            getattr(value, item.name)
        )
        for item in dataclasses.fields(value)
        if item.name not in left_out
    }


def wanted_parts(job: MapJob, record: Mapping[str, Made], engine: str) -> dict[str, Parts]:
    """Return what every stage of a map would be made from now; of stages before it, as the record knows them.

    Args:
        job: with absolute paths of its inputs.
        record: of the map's folder.
        engine: version of the engine.
    """
    keys = ["stack", "labels", "split"]
    keys += [] if job.model_file else ["model"]
    keys += ["accuracy"]
    keys += ["final"] if uses_all_labels(job, record) else []
    return {key: parts_of(job, key, record, engine) for key in (*keys, "map")}


def parts_of(job: MapJob, key: str, record: Mapping[str, Made], engine: str) -> Parts:
    """Return what a stage would be made from, given what the stages before it have left.

    Args:
        job: with absolute paths of its inputs.
        key: of the stage.
        record: of the map's folder.
        engine: version of the engine.
    """
    return {**PARTS[key](job, record), "Engine": engine}


def _stack_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    area = stack_area(job)
    return {
        **raster_parts(job),
        "Paths": raster_paths(job),
        "Bands": encode(job.bands),
        "Intermediate bands": encode(job.intermediates),
        "Grid": encode(job.grid),
        **(area_parts(area) if area != Area() else {}),
    }


def _label_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    layers: tuple[Labels | LabelLayer, ...] = (job.labels, *job.labels.more)
    contents = {f"Labels {layer.name or Path(layer.path).stem}": label_state(layer) for layer in layers}
    settings = settings_of(job.labels, ("path", "layer", "name", "more"))
    return {**contents, **settings, **area_parts(job.area), "Stack": _output(record, "stack")}


def _split_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    named = job.split.split_areas
    areas = [area_parts(area) for area in named] if named or job.area.split_field else []
    return {
        **settings_of(job.split),
        "Split areas": areas,
        "Paths": raster_paths(job),
        "Labels": _output(record, "labels"),
    }


def _model_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    training = training_of(job, "")
    return {
        "Kind of model": CATALOGUE[job.model].name,
        **settings_of(training),
        "Test areas": _output(record, "split"),
    }


def _accuracy_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    return {
        "Test areas": _output(record, "split"),
        "Model": model_state(job, record, "model"),
        "Test-time augmentation": job.prediction.tta,
    }


def _final_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    return {"Labels": _output(record, "split"), "Model": _output(record, "model")}


def _map_parts(job: MapJob, record: Mapping[str, Made]) -> dict[str, Any]:
    area = area_parts(job.prediction.area) if job.prediction.area else {}
    extent = encode(job.prediction.extent)
    key = "final" if uses_all_labels(job, record) else "model"
    settings = settings_of(job.prediction)
    return {**raster_parts(job), **settings, **area, "Extent": extent, "Model": model_state(job, record, key)}


PARTS: dict[str, Callable[[MapJob, Mapping[str, Made]], dict[str, Any]]] = {
    "stack": _stack_parts,
    "labels": _label_parts,
    "split": _split_parts,
    "model": _model_parts,
    "accuracy": _accuracy_parts,
    "final": _final_parts,
    "map": _map_parts,
}


def _output(record: Mapping[str, Made], key: str) -> str:
    return record[key].output if key in record else ""


def model_state(job: MapJob, record: Mapping[str, Made], key: str) -> Any:
    """Return what tells one state of the model that a stage uses from another.

    Args:
        job: the map.
        record: of its folder.
        key: `model` or `final`, where the model is trained.
    """
    return raster_state(job.model_file) if job.model_file else _output(record, key)


def raster_parts(job: MapJob) -> dict[str, Any]:
    """Return the rasters of a map as parts, each with the state of its files, wherever they are."""
    return {
        f"Raster {source.name or source.key}": {
            **encode(replace(source, key="", name="", path="", paths=())),
            "state": [raster_state(path) for path in (source.path, *source.paths)],
            "key": source.key,
        }
        for source in job.sources
    }


def raster_paths(job: MapJob) -> list[str]:
    """Return the paths of all rasters, which recipe and dataset hold; a model does not depend on them."""
    return [path for source in job.sources for path in (source.path, *source.paths)]


def label_state(labels: Labels | LabelLayer) -> Any:
    """Return the content of a layer of labels, with what counts of it.

    Args:
        labels: polygons, or a raster of classes.
    """
    if isinstance(labels, Labels) and labels.kind == "raster":
        return raster_state(labels.path)
    fields = (labels.class_field,) if labels.class_field else ()
    return layer_state(labels.path, labels.layer, fields)


def area_parts(area: Area) -> dict[str, Any]:
    """Return an area as parts, with the content of its polygons."""
    state = layer_state(area.path, area.layer, (area.split_field,)) if area.path else None
    return {"Area": {**encode(replace(area, path="", layer="")), "whole": (state or {}).get("whole", "")}}


def stack_area(job: MapJob) -> Area:
    """Return the area that the grid covers: a hull of labels would move the grid with every edit."""
    return job.area if job.area.kind in ("polygons", "extent") else Area()


def uses_all_labels(job: MapJob, record: Mapping[str, Made]) -> bool:
    """Return whether the model of the map is trained once more on all labels.

    Args:
        job: the map.
        record: of its folder; `auto` follows the labels that the split counted.
    """
    if job.model_file or job.final_model == "training":
        return False
    if job.final_model == "all":
        return True
    rarest = rarest_px(record["split"].result) if "split" in record else None
    return rarest is not None and rarest < FEW_PIXELS


def rarest_px(result: Mapping[str, Any]) -> int | None:
    """Return the labelled pixels of the rarest class that has any, in all splits; None where they are not known.

    Args:
        result: of the job `tile`.
    """
    counts = result.get("counts")
    sums: dict[str, int] = {}
    for split in counts.values() if isinstance(counts, dict) else ():
        for key, pixels in split.items() if isinstance(split, dict) else ():
            if isinstance(pixels, int):
                sums[key] = sums.get(key, 0) + pixels
    return min((pixels for pixels in sums.values() if pixels), default=None)


def training_of(job: MapJob, dataset: str) -> TrainJob | ForestJob:
    """Return the job that trains the model of a map.

    Args:
        job: the map.
        dataset: folder of the dataset.
    """
    model = CATALOGUE[job.model]
    if model.method:
        return replace(job.baseline, dataset=dataset, method=model.method, output=".")  # type: ignore[arg-type]
    return replace(
        job.network,
        dataset=dataset,
        architecture=model.architecture,
        encoder=model.encoder or job.network.encoder,
        max_minutes=job.minutes or job.network.max_minutes,
        device=job.device if job.network.device == "auto" else job.network.device,
        output=".",
        resume=False,
    )


def stage_job(job: MapJob, key: str, folder: Path, model: str = "", split_from: str = "") -> Job:
    """Return the job that makes a stage; its paths are absolute.

    Args:
        job: the map, with absolute paths of its inputs.
        key: of the stage; not `final`, whose settings follow from the model that was trained.
        folder: of the map, absolute.
        model: file of the model that is used, for `accuracy` and `map`.
        split_from: file of the blocks that are kept, for `split`; empty draws them.
    """
    stack, labels = str(folder / STACK_FILE), str(folder / DATASET / LABELS_FILE)
    if key == "stack":
        return StackJob(
            job.sources,
            job.bands,
            job.grid,
            stack_area(job),
            output=stack,
            intermediates=job.intermediates,
        )
    if key == "labels":
        return RasterizeJob(stack, job.labels, job.area, labels, update=True)
    if key == "split":
        return replace(
            job.split,
            stack=stack,
            labels=labels,
            area=job.split.area if job.split.area != Area() else job.area,
            output=str(folder / DATASET),
            split_from=split_from,
            every_block=True,
        )
    if key == "model":
        return training_of(job, str(folder / DATASET))
    if key == "accuracy":
        return evaluation_of(job, str(folder / DATASET), model)
    return prediction_of(job, folder, model)


def prediction_of(job: MapJob, folder: Path, model: str) -> PredictJob:
    """Return the job that makes the files of a map.

    Args:
        job: the map.
        folder: of the map, absolute.
        model: its file.
    """
    files: dict[str, Any] = {
        name: str(folder / text) for name in OUTPUTS if (text := getattr(job.prediction, name))
    }
    sources = job.sources
    if job.model_file:  # whose slots have keys of their own, and are found by name and bands
        sources = tuple(replace(source, key=f"given{number}") for number, source in enumerate(job.sources, 1))
    device = job.device if job.prediction.device == "auto" else job.prediction.device
    return replace(job.prediction, model=model, sources=sources, device=device, **files)


def files_of(job: MapJob, key: str) -> tuple[str, ...]:
    """Return the results of a stage that must be as it left them, relative to the folder of the map.

    Args:
        job: the map.
        key: of the stage.
    """
    if key != "map":
        return FILES[key]
    return tuple(text for name in OUTPUTS if (text := getattr(job.prediction, name)))


def map_states(job: MapJob, folder: Path, engine: str) -> tuple[StageState, ...]:
    """Return which stages of a map are out of date, why, and what each took last time.

    Args:
        job: with absolute paths of its inputs.
        folder: of the map.
        engine: version of the engine.
    """
    record = read_record(folder / RECORD_FILE)
    return states(wanted_parts(job, record, engine), record, folder)


def outdated_jobs(job: MapJob, folder: Path, engine: str) -> dict[str, Job]:
    """Return the jobs that bring a map up to date, as far as they are known before the first of them has run.

    Args:
        job: with absolute paths of its inputs.
        folder: of the map, absolute.
        engine: version of the engine.
    """
    model = job.model_file or str(folder / MODEL / MODEL_FILE)
    found = [
        state.key for state in map_states(job, folder, engine) if not state.current and state.key != "final"
    ]
    return {key: stage_job(job, key, folder, model) for key in found}


def absolute_sources(sources: Iterable[Source], folder: Path) -> tuple[Source, ...]:
    """Return sources whose existing files are named from the root.

    Args:
        sources: as a job names them.
        folder: of the job.
    """

    def whole(source: Source) -> Source:
        paths = tuple(_absolute(path, folder) for path in source.paths)
        return replace(source, path=_absolute(source.path, folder), paths=paths)

    return tuple(whole(source) for source in sources)


def absolute_job(job: MapJob, folder: Path) -> MapJob:
    """Return the job with absolute paths of what it reads.

    Args:
        job: the map.
        folder: of the job, absolute.
    """
    more = tuple(replace(item, path=_absolute(item.path, folder)) for item in job.labels.more)
    return replace(
        job,
        sources=absolute_sources(job.sources, folder),
        labels=replace(job.labels, path=_absolute(job.labels.path, folder), more=more),
        area=replace(job.area, path=_absolute(job.area.path, folder)),
        model_file=_absolute(job.model_file, folder),
    )


def _absolute(text: str, folder: Path) -> str:
    """The path of something in a folder, settings behind it kept; any other text as it is."""
    return str(folder / text) if text and file_exists(str(folder / split_address(text)[0])) else text
