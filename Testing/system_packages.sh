#!/usr/bin/env bash
# System libraries that the Python wheels expect: Qt (PySide6) for the panel's tests, Mesa for offscreen slice views.
# Installs what is missing with apt-get where this is root on Debian or Ubuntu; elsewhere says what to install.
set -euo pipefail

packages=(libegl1 libgl1 libgl1-mesa-dri libegl-mesa0 libglib2.0-0 libdbus-1-3 libfontconfig1 libfreetype6 libxkbcommon0)
command -v dpkg >/dev/null || exit 0
missing=()
for package in "${packages[@]}"; do
  # from trixie on libglib2.0-0 is libglib2.0-0t64
  dpkg -s "$package" >/dev/null 2>&1 || dpkg -s "${package}t64" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "These system libraries for drawing without a screen are missing: ${missing[*]}. Without them there are no slice" \
    "views and no tests of the panel; all else works. To install them, ask whoever administers this machine." >&2
  exit 0
fi
echo "Installing system libraries for drawing without a screen: ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
