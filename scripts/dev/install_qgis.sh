#!/usr/bin/env bash
# Make QGIS 3.40 or later, Xvfb and python venvs available. Does nothing where they already are.
# Only apt is driven from here; with any other package manager it says what to install.
set -euo pipefail

needed_commands=(qgis qgis_process xvfb-run)
packages=(qgis python3-qgis qgis-providers)
helpers=(xvfb xauth python3-venv python3-dev python3-pip g++ fonts-dejavu-core)

qgis_version() {
  dpkg-query -W -f='${Version}' python3-qgis 2>/dev/null | sed -E 's/^[0-9]+://; s/[+~-].*//'
}

is_ready() {
  for name in "${needed_commands[@]}"; do command -v "$name" >/dev/null || return 1; done
  /usr/bin/python3 -c 'import venv, ensurepip, sys
from qgis.core import Qgis
sys.exit(Qgis.QGIS_VERSION_INT < 34000)' 2>/dev/null && command -v g++ >/dev/null
}

if is_ready; then
  echo "QGIS: $(/usr/bin/python3 -c 'from qgis.core import Qgis; print(Qgis.QGIS_VERSION)') is installed"
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  cat >&2 <<'TEXT'
GeoSeg needs QGIS 3.40 or later with its Python bindings, Xvfb, a C++ compiler and Python venv support.
This machine has no apt-get: install these with its package manager, then run the same command again
(Fedora: qgis python3-qgis xorg-x11-server-Xvfb gcc-c++ python3-devel; Arch: qgis xorg-server-xvfb gcc;
macOS: the QGIS installer and XQuartz).
TEXT
  exit 1
fi

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive

# Debian 12 carries QGIS 3.22; its backports carry 3.40. The mirror is the one this machine already uses.
add_backports() {
  . /etc/os-release
  [ "${VERSION_CODENAME:-}" = bookworm ] || return 0
  grep -rqs 'bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d/ && return 0
  local mirror
  mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null | awk '$2 == "bookworm" {print $1; exit}')
  [ -n "$mirror" ] || { echo "No apt source for bookworm found; add the suite bookworm-backports by hand." >&2; exit 1; }
  echo "deb $mirror bookworm-backports main" | "${as_root[@]}" tee /etc/apt/sources.list.d/geoseg-backports.list >/dev/null
}

target=()
add_backports
"${as_root[@]}" apt-get update -qq
if [[ $(apt-cache madison qgis) == *bookworm-backports* ]]; then target=(-t bookworm-backports); fi
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${target[@]}" "${packages[@]}" >/dev/null
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${helpers[@]}" >/dev/null

installed=$(qgis_version)
if ! /usr/bin/python3 -c 'import sys; from qgis.core import Qgis; sys.exit(Qgis.QGIS_VERSION_INT < 34000)'; then
  echo "QGIS $installed is too old: GeoSeg needs 3.40. Add your distribution's backports or the qgis.org repository." >&2
  exit 1
fi
echo "QGIS: $installed installed"
