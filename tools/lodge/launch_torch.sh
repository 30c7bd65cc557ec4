# As launch.sh, in the Python that LODGE_TORCH_PYTHON names where there is one: for modules that need
# PyTorch.
name=$(basename "$0")
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="${LODGE_TORCH_PYTHON:-$tools/../.venv/bin/python}"
if [ ! -x "$python" ]; then
  echo "$name: error: there is no Python at $python" >&2
  echo "$name: hint: run tools/setup first, or set LODGE_TORCH_PYTHON" >&2
  exit 69
fi
# Found, not imported: that takes seconds.
find='import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))'
if ! "$python" -c "$find" torch safetensors numpy; then
  echo "$name: error: $python does not have torch, safetensors and numpy" >&2
  echo "$name: hint: '.venv/bin/pip install torch', or set LODGE_TORCH_PYTHON to a Python" \
    "that has them" >&2
  exit 69
fi
PYTHONPATH="$tools" exec "$python" -P -m "$@"
