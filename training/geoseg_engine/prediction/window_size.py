"""Size of windows: from the available memory, the memory per pixel, and the speed of the model."""

from __future__ import annotations

from ..device.devices import CPU, Device
from ..raster.grid import round_up
from .windows import Frame

BLOCK_PX, HALF_BLOCK_PX = 512, 256
"""Cores are multiples of the blocks of the written file, or of half of one while they are no larger than two."""
HOST_CAP_BYTES = 1300 << 20
HOST_SHARE, DEVICE_SHARE = 0.4, 0.6
CPU_CORE_PX, GPU_CORE_PX = 2048, 4096
"""On a CPU a U-Net of four levels spends 7 % of its time on the halo of such a core, a quarter on that of 512 px. A
network without halo gets cores of a block there: new memory for larger ones takes as long as all around the network."""
MAX_WINDOW_S = 12.0
"""Between two cancel points."""


def core_for(
    frame: Frame, host_bytes_px: float, device_bytes_px: float, device: Device, px_per_s: float
) -> int:
    """Return the side of the largest core that fits into memory.

    Args:
        frame: raster and network.
        host_bytes_px: bytes of main memory for every pixel of a window, all stages together.
        device_bytes_px: bytes of activations for every pixel of a window, on `device`.
        device: that the model runs on.
        px_per_s: speed of the model; 0 if unknown.

    Returns:
        A multiple of BLOCK_PX or HALF_BLOCK_PX if it fits, else of `align_px`; never more than the raster needs.
    """
    host = min(HOST_CAP_BYTES, HOST_SHARE * CPU.memory().free)
    largest = host / (host_bytes_px + (0 if device.is_gpu else device_bytes_px))
    if device.is_gpu:
        largest = min(largest, DEVICE_SHARE * device.memory().free / device_bytes_px)
    if px_per_s:
        largest = min(largest, max(MAX_WINDOW_S * px_per_s, (BLOCK_PX + 2 * frame.halo_px) ** 2))
    core_px = int(largest**0.5) - 2 * frame.halo_px
    needed = round_up(max(frame.height, frame.width), frame.align_px)
    max_px = GPU_CORE_PX if device.is_gpu else CPU_CORE_PX if frame.halo_px else BLOCK_PX
    core_px = min(core_px, max_px, needed)
    if core_px == needed or core_px < BLOCK_PX:
        step = frame.align_px
    else:
        step = BLOCK_PX if core_px >= 2 * BLOCK_PX else HALF_BLOCK_PX
    return max(core_px // step * step, frame.align_px)
