#!/bin/bash
# Training on several machines under Slurm: sbatch --nodes=4 slurm.sh run.toml --out run
# Arguments are those of keras-unet train. One task on each machine takes all GPUs it is given there.
# Before its time is over the job stops with a checkpoint; submitted again, it goes on from there.
#SBATCH --job-name=keras-unet
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@300
#SBATCH --open-mode=append
set -euo pipefail

port=${PORT:-22222}
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
addresses=$(printf ",\"%s:$port\"" "${hosts[@]}")
export CLUSTER="{\"worker\": [${addresses#,}]}"
# A machine that is lost ends the others: --kill-on-bad-exit spares them the wait.
srun --kill-on-bad-exit=1 bash -c '
  export TF_CONFIG="{\"cluster\": $CLUSTER, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec keras-unet train "$@"
' bash "$@"
