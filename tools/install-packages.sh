#!/bin/sh
# install-packages.sh KIND...: installs the Debian packages that are missing for build, test, bench or ci,
# and says which. Does nothing, and says nothing, when all are there.
set -eu
here=$(dirname "$0")
missing=
for kind in "$@"; do
    for package in $(sed -n "s/^$kind //p" "$here/packages.txt"); do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-packages.sh: these Debian 12 packages are needed and apt-get is not here:$missing" >&2
    exit 1
fi
echo "installing:$missing"
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
