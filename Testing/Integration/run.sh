#!/bin/sh
# Tests against a real Orthanc on loopback. Installs Debian's packages where they are missing (as root or with sudo).
#
#   Testing/Integration/run.sh [pytest's arguments]     PYTHON names the interpreter; default: .venv/bin/python, else python3
set -eu
cd "$(dirname "$0")/../.."

if ! command -v Orthanc >/dev/null || ! [ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ]; then
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    $as_root apt-get update -q
    # the service is not wanted: the tests start a server of their own
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends orthanc orthanc-dicomweb
    $as_root service orthanc stop >/dev/null 2>&1 || true
fi

python="${PYTHON:-.venv/bin/python}"
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=python3
ULS_REQUIRE_ORTHANC=1 exec "$python" -m pytest -o "pythonpath=Testing/Python/helpers Testing/Integration" Testing/Integration "$@"
