#!/usr/bin/env bash
# Set up all that a checkout needs, from nothing: QGIS, .envs/plugin (QGIS's Python and the test tools) and
# .envs/engine (the engine's own environment, made by the plugin's installer). Quick when all is there.
# Environments made by hand are adopted if they hold what the lists ask for.
set -euo pipefail
cd "$(dirname "$0")/../.."

system_python=${GEOSEG_SYSTEM_PYTHON:-/usr/bin/python3}
plugin_env=.envs/plugin
engine_env=.envs/engine

bash scripts/dev/install_qgis.sh

wanted=$({ "$system_python" --version; cat scripts/dev/requirements-plugin.txt; } | sha256sum | cut -c1-16)
stamp=$plugin_env/geoseg-plugin.stamp
if [ ! -x "$plugin_env/bin/python" ] || [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  echo "Plugin environment: $plugin_env"
  [ -x "$plugin_env/bin/python" ] || "$system_python" -m venv --system-site-packages "$plugin_env"
  "$plugin_env/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
    -r scripts/dev/requirements-plugin.txt
  echo "$wanted" >"$stamp"
fi

echo "Engine environment: $engine_env"
options=(--root "$engine_env" --python "$system_python" --build "${GEOSEG_BUILD:-${GEOSEG_DEVICE:-cpu}}" --dev)
[ -z "${GEOSEG_WITHOUT_RICHDEM:-}" ] || options+=(--without-richdem)
mkdir -p build
log=build/bootstrap.log
if ! "$system_python" -m geoseg_plugin.engine.installer "${options[@]}" >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "The engine environment could not be set up; the whole log is $log." >&2
  exit 1
fi
tail -n 1 "$log"
