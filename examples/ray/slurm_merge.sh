#!/bin/bash
# Merges the parts that slurm_array.sh made, and solves the readout.
#SBATCH --job-name=pentimento-merge
#SBATCH --output=merge-%j.log
set -euo pipefail
sums=${1:?where to write the sums} parts=${2:?the folder of the parts}
"${PENTIMENTO:-pentimento}" merge "$parts"/*.safetensors -o "$sums" --force
"${PENTIMENTO:-pentimento}" solve "$sums"
