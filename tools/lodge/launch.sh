# Goes on in the module $1 of this package with the arguments after it, in the Python of .venv: sourced
# by the commands of tools/.
name=$(basename "$0")
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="$tools/../.venv/bin/python"
if [ ! -x "$python" ]; then
  echo "$name: error: .venv is missing" >&2
  echo "$name: hint: run tools/setup first" >&2
  exit 1
fi
# -P: no module is taken from the current folder.
PYTHONPATH="$tools" exec "$python" -P -m "$@"
