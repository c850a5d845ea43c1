#!/bin/sh
# setup.sh: what `millstream bench --peer duckdb` needs, the Python packages duckdb and numpy, in a virtual environment outside the
# repository: ~/.cache/millstream-bench, where the command looks first. Needs python3 with its module venv.
set -eu
folder=${XDG_CACHE_HOME:-$HOME/.cache}/millstream-bench
python3 -m venv "$folder" || { echo "setup.sh: python3 -m venv failed (Debian: apt install python3-venv)" >&2; exit 1; }
"$folder/bin/python3" -m pip install --quiet "duckdb==${DUCKDB_VERSION:-2.0.1}" numpy
"$folder/bin/python3" -c 'import duckdb; print("duckdb", duckdb.__version__)'
echo "in $folder; rm -r removes it"
