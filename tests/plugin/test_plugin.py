"""The plugin in QGIS: loaded, unloaded, loaded again; nothing of the engine in QGIS's Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsApplication

from geoseg_plugin import classFactory

ROOT = Path(__file__).resolve().parents[2]
KEPT_OUT = ("torch", "rasterio", "geopandas", "shapely", "richdem", "onnxruntime")


def provider() -> Any:
    return QgsApplication.processingRegistry().providerById("geoseg")


def test_load_unload_load(
    qgis_app: Any, qgis_iface: Any, qgis_new_project: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSEG_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", str(tmp_path / "engine"))
    monkeypatch.setattr(qgis_iface, "removeToolBarIcon", lambda action: None, raising=False)
    monkeypatch.setattr(qgis_iface, "removePluginMenu", lambda menu, action: None, raising=False)
    qgis_iface.mainWindow().show()
    for _round in range(2):
        plugin = classFactory(qgis_iface)
        plugin.initGui()
        assert provider() is not None
        plugin.open_dock()
        assert plugin.dock.isVisible()
        assert plugin.dock.current_step() == "engine", "no engine yet: the panel begins with setting it up"
        plugin.unload()
        assert provider() is None
        assert plugin.dock is None
    qgis_app.processEvents()


def test_the_engine_stays_out_of_qgis(tmp_path: Path) -> None:
    code = (
        "from qgis.testing import start_app; start_app()\n"
        "import sys; from pathlib import Path\n"
        "from geoseg_plugin.panel.assembly import GeoSegPanel\n"
        "from geoseg_plugin.processing.provider import GeoSegProvider\n"
        "panel = GeoSegPanel(Path('guide.md'), None)\n"
        "[panel.dock.show_step(step) for step in ('tiles', 'train', 'predict', 'results', 'engine')]\n"
        "panel.close()\n"
        f"print('FOUND', sorted(set({KEPT_OUT!r}) & set(sys.modules)), 'matplotlib' in sys.modules)\n"
    )
    environ = {"GEOSEG_WORKSPACE": str(tmp_path), "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
    environ |= {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environ,
        timeout=120,
        encoding="utf-8",
    )
    assert "FOUND [] False" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
