"""How large numbers in files may be: beyond, they are a mistake or ask for memory that no machine has.

The ranges of a job's fields are declared with them; see `parameter`.
"""

from __future__ import annotations

MAX_SIDE_PX = (1 << 31) - 1
"""Of a raster: what GDAL counts with."""
MAX_BANDS, MAX_CLASSES = 4096, 255
"""Of a model; its class ids are bytes, and 255 is no class. Those of a class raster are whatever values it has."""
MAX_WIDTH, MAX_LEVELS = 1024, 6
"""Of a network: channels of its first level, and downsamplings."""
MAX_WINDOW_PX = 1 << 16
"""Side of a tile, crop, window or part of one."""
MAX_MEMBERS = 64
"""Of an ensemble."""

_COUNT = (0.0, 1e9)

LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "Grid": {"width": (1.0, float(MAX_SIDE_PX)), "height": (1.0, float(MAX_SIDE_PX))},
    "Band": {"index": (-(2.0**31), 2.0**31)},
    "Series": {"months": (1.0, 12.0)},
    "LabelClass": {"id": (-(2.0**63), 2.0**64 - 1)},
    "Dataset": {
        "tile_px": (1.0, float(MAX_WINDOW_PX)),
        "stride_px": (1.0, float(MAX_WINDOW_PX)),
        "block_px": _COUNT,
        "buffer_px": _COUNT,
        "counts": (0.0, 2.0**63),
    },
    "Statistics": {"std": (1e-38, 1e300)},
    "Calibration": {"temperature": (1e-6, 1e6), "bias": (-1e6, 1e6), "weights": (1e-9, 1e9)},
    "Plan": {
        "width": (0.0, float(MAX_WIDTH)),
        "epochs": (-1e6, 1e6),
        "max_minutes": (0.0, 1e7),
        "seed": (-(2.0**63), 2.0**64 - 1),
        "levels": (0.0, float(MAX_LEVELS)),
        "crop_px": (1.0, float(MAX_WINDOW_PX)),
        "batch_size": (1.0, 65_536.0),
    },
    "RunPlan": {"core_px": (1.0, float(MAX_WINDOW_PX)), "unit_px": (1.0, 1e9)},
    "ModelDescription": {
        "reach_px": (0.0, float(MAX_WINDOW_PX)),
        "align_px": (1.0, float(MAX_WINDOW_PX)),
        "tile_px": (1.0, float(MAX_WINDOW_PX)),
    },
}
"""Of a dataclass by its name: of a field, or of each number in it, the least and the greatest."""
