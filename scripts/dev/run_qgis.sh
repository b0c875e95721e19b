#!/usr/bin/env bash
# Open QGIS with the plugin of this checkout, in a profile of its own, and the demo's project if it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 scripts/dev/stage_profile.py --config build/qgis
export GEOSEG_ENGINE_DIR="$PWD/.envs/engine"
project=$(find build/demo -maxdepth 2 -name '*.qg[sz]' 2>/dev/null | sort | head -n 1 || true)
# QGIS takes its Python's home from the python3 on PATH: the system's goes first.
export PATH="/usr/bin:/bin:$PATH"
exec qgis --profiles-path "$PWD/build/qgis" --profile default ${project:+"$project"}
