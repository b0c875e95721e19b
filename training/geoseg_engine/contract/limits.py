"""How large numbers in files may be: beyond, they are a mistake or ask for memory that no machine has.

What only a job can judge, such as a share that is negative, its `problems()` say.
"""

from __future__ import annotations

MOST_SIDE_PX = (1 << 31) - 1
"""Of a raster: what GDAL counts with."""
MOST_BANDS, MOST_CLASSES = 4096, 255
"""Of a model; its class ids are bytes, and 255 is no class. Those of a class raster are whatever values it has."""
MOST_WIDTH, MOST_LEVELS = 1024, 6
"""Of a network: channels of its first level, and downsamplings."""
MOST_WINDOW_PX = 1 << 16
"""Side of a tile, crop, window or part of one."""
MOST_MEMBERS = 64
"""Of an ensemble."""

_COUNT = (0.0, 1e9)
_WINDOW = (0.0, float(MOST_WINDOW_PX))
_SEED = (-(2.0**63), 2.0**64 - 1)
_NETWORK = {
    "width": (0.0, float(MOST_WIDTH)),
    "epochs": (-1e6, 1e6),
    "max_minutes": (0.0, 1e7),
    "seed": _SEED,
}

LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "Grid": {"width": (1.0, float(MOST_SIDE_PX)), "height": (1.0, float(MOST_SIDE_PX))},
    "Band": {"index": (-(2.0**31), 2.0**31)},
    "Series": {"months": (1.0, 12.0)},
    "LabelClass": {"id": (-(2.0**63), 2.0**64 - 1)},
    "Labels": {"border_px": (-_WINDOW[1], _WINDOW[1]), "min_area_px": (-_COUNT[1], _COUNT[1])},
    "Dataset": {
        "tile_px": (1.0, float(MOST_WINDOW_PX)),
        "stride_px": (1.0, float(MOST_WINDOW_PX)),
        "block_px": _COUNT,
        "buffer_px": _COUNT,
        "counts": (0.0, 2.0**63),
    },
    "TrainJob": {
        **_NETWORK,
        "batch_size": (0.0, 65_536.0),
        "crop_px": _WINDOW,
        "steps_per_epoch": (-_COUNT[1], _COUNT[1]),
        "freeze_epochs": (-1.0, 1e6),
        "learning_rate": (-1e6, 1e6),
    },
    "PretrainJob": _NETWORK,
    "ForestJob": {"trees": (-1e5, 1e5), "depth": (-1e5, 1e5), "features": (-1e6, 1e6), "pixels": (-1.0, 1e9)},
    "TileJob": {"folds": (-1.0, 1000.0), "block_px": (-1.0, 1e9), "buffer_px": (-1.0, 1e9)},
    "SummarizeJob": {"bins": (-1.0, 65_536.0)},
    "SearchJob": {"trials": (-1.0, 1e6)},
    "PredictJob": {"core_px": (-_WINDOW[1], _WINDOW[1]), "dropout_passes": (-1.0, 10_000.0)},
    "Cleaning": {
        "majority_px": (-1.0, 4095.0),
        "opening_px": (-1.0, 4095.0),
        "closing_px": (-1.0, 4095.0),
    },
    "SampleJob": {"count": (-1e8, 1e8), "most": (-1e8, 1e8), "least": (-1e8, 1e8)},
    "Statistics": {"std": (1e-38, 1e300)},
    "Calibration": {"temperature": (1e-6, 1e6), "bias": (-1e6, 1e6), "weights": (1e-9, 1e9)},
    "Plan": {
        **_NETWORK,
        "core_px": (1.0, float(MOST_WINDOW_PX)),
        "unit_px": (1.0, 1e9),
        "levels": (0.0, float(MOST_LEVELS)),
        "crop_px": (1.0, float(MOST_WINDOW_PX)),
        "batch_size": (1.0, 65_536.0),
    },
    "ModelDescription": {
        "reach_px": (0.0, float(MOST_WINDOW_PX)),
        "align_px": (1.0, float(MOST_WINDOW_PX)),
        "tile_px": (1.0, float(MOST_WINDOW_PX)),
    },
}
"""Of a dataclass by its name: of a field, or of each number in it, the least and the greatest."""
