#!/usr/bin/env bash
# Does one share of a planned audit: every k-th piece of work, where k is how many take part. Who takes part is told by Slurm (an array
# job) or by Open MPI:
#
#   fjld-checks plan --tier full > plan.tsv
#   sbatch --array=0-63 scripts/sweep.sh plan.tsv pieces --tier full     # or
#   mpirun -n 64 scripts/sweep.sh plan.tsv pieces --tier full
#   fjld-checks merge pieces/* --tier full
#
#   sweep.sh PLAN DIR [options of `run --item`]
#
# Pieces go to a folder a share in DIR; one that is there already is not done again, so that the same command goes on after a failure.
# FJLD is the program, if it is not found as fjld-checks. The first piece that fails ends the share with its exit code.
#SBATCH --job-name=fjld
#SBATCH --ntasks=1
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
plan=$1 folder=$2
shift 2
share=${SLURM_ARRAY_TASK_ID:-${OMPI_COMM_WORLD_RANK:-0}}
first=${SLURM_ARRAY_TASK_MIN:-0}
shares=${SLURM_ARRAY_TASK_COUNT:-${OMPI_COMM_WORLD_SIZE:-1}}

awk -v share=$((share - first)) -v shares="$shares" 'NR % shares == share { print $1 }' "$plan" |
  while read -r id; do
    "${FJLD:-fjld-checks}" run --item "$id" --out "$folder/share-$share" "$@" < /dev/null
  done
