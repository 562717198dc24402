#!/bin/bash
# One part of the work per array task.
#
#   python pentimento_map.py big.trace.zarr -o all.safetensors --stats '--layer 1 --head 0 --lag 8' > plan.txt
#   array=$(sbatch --parsable --array=1-$(wc -l < plan.txt)%64 slurm_array.sh plan.txt)
#   sbatch --dependency=afterok:$array slurm_merge.sh all.safetensors parts
#
# A task that was lost is run again (--requeue); a part that is there already is left as it is, so submitting all of it again
# makes only what is missing.
#SBATCH --job-name=pentimento-stats
#SBATCH --cpus-per-task=2
#SBATCH --requeue
#SBATCH --output=stats-%A-%a.log
set -euo pipefail
plan=${1:?the plan: one command a line}
command=$(sed -n "${SLURM_ARRAY_TASK_ID:?this is for a SLURM array}p" "$plan")
[ -n "$command" ] || { echo "error: the plan has no line $SLURM_ARRAY_TASK_ID" >&2; exit 2; }
eval "$command"
