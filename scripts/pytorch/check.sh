#!/usr/bin/env bash
# Dumps per-example gradients of a PyTorch model, measures them with `fjld-checks measure`, and holds every number against numpy.
#
# Why: `measure` promises to read what other frameworks write, and tests in Rust alone would share our reading of the formats and of the
# formulas. Here torch makes the gradients, numpy and safetensors write them, and numpy computes each metric again in float64.
# Agreement is asked to 1e-10: the reason is beside TOLERANCE in dump_gradients.py.
#
# VENV (default: a folder in the user's cache) is made once and kept; torch is large. Only the processor is used.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/fjld-pytorch}
folder=$(mktemp -d)
work=$folder
trap 'rm -rf "$folder"' EXIT

if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi
# a no-op where they are there
"$venv/bin/pip" install --quiet --disable-pip-version-check torch==2.7.1 'numpy>=2,<3' 'safetensors>=0.5,<1'

export CUDA_VISIBLE_DEVICES=
"$venv/bin/python" "$here/dump_gradients.py" dump "$work"
"$venv/bin/python" "$here/snippets.py" run "$work/page"
cd "$here/../.."
cargo build --quiet -p fjld-checks
measure() { # name, batch size, then the arguments of measure
    cargo run --quiet -p fjld-checks -- measure --json --batch-size "$2" "${@:3}" >"$work/$1.measured.json"
}
for kind in f64 f32 blind; do
    measure "$kind.npy" 1 "$work/$kind.npy"
    measure "$kind.safetensors" 1 "$work/$kind.safetensors" --key gradients
done
measure steps 8 "$work/steps"
"$venv/bin/python" "$here/dump_gradients.py" compare "$work"

# what the Python of README.md wrote
work=$work/page
measure examples 1 "$work/gradients.safetensors"
measure minibatches 8 "$work/gradients"
cargo run --quiet -p fjld-checks -- measure --json --two-batch "$work/norms.csv" >"$work/norms.measured.json"
"$venv/bin/python" "$here/dump_gradients.py" compare "$work"
