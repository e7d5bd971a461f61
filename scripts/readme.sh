#!/usr/bin/env bash
# Runs the commands of README.md as they are printed there: every block that begins with ```sh. A block that begins with
# "```sh not-run: REASON" is left out, and said; with --all it is run too (half an hour on two cores, most of it building).
#
# gradients.npy and norms.csv stand for the reader's own files: they are made here and removed again.
set -euo pipefail
cd "$(dirname "$0")/.."
all=${1:-}
for file in gradients.npy norms.csv; do
  [ ! -e "$file" ] || { echo "$file is there already, and would be overwritten" >&2; exit 2; }
done
trap 'rm -f gradients.npy norms.csv' EXIT

python3 - <<'MAKE'
# 128 rows of 20 doubles around 0.3, as .npy; and a log of 50 steps
import random, struct
random.seed(1)
rows, columns = 128, 20
header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
header += " " * (-(len(header) + 11) % 64) + "\n"
with open("gradients.npy", "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    for _ in range(rows * columns):
        file.write(struct.pack("<d", random.gauss(0.3, 1)))
with open("norms.csv", "w") as file:
    print("step,small_batch,big_batch,small_norm2,big_norm2", file=file)
    for step in range(50):
        print(f"{step},32,256,{random.gauss(3, 0.2)},{random.gauss(1, 0.1)}", file=file)
MAKE

block=$(mktemp)
reason=
inside=false
ran=0
left=0
while IFS= read -r line; do
  case $line in
    '```sh'*)
      inside=true
      reason=${line#'```sh'}
      reason=${reason#' not-run: '}
      : > "$block"
      ;;
    '```')
      $inside || continue
      inside=false
      if [ -n "$reason" ] && [ "$all" != --all ]; then
        left=$((left + 1))
        echo "left out ($reason): $(tr '\n' ';' < "$block")"
        continue
      fi
      ran=$((ran + 1))
      sed 's/^/$ /' "$block"
      bash -euo pipefail "$block" < /dev/null
      ;;
    *) if $inside; then printf '%s\n' "$line" >> "$block"; fi ;;
  esac
done < README.md
rm -f "$block"
echo "$ran blocks of README.md were run as printed, $left left out"
