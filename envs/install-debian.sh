#!/bin/sh
# Installs the Debian packages listed in the file $1 that are missing, when we may: as root, with apt-get.
# Without them the tests that need them are skipped by name.
set -eu
missing=""
for package in $(sed 's/#.*//' "$1"); do
    # A program of that name from elsewhere serves as well.
    dpkg -s "$package" >/dev/null 2>&1 || command -v "$package" >/dev/null || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed (needs root and apt-get):$missing. Tests that need them are skipped."
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
