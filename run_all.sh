#!/usr/bin/env bash
# Runs the whole pipeline: folds, training, inference, scores and submission.
#
#   bash run_all.sh                                                  on a phantom data set that it generates
#   bash run_all.sh data=PATH [--config FILE] [key=value ...]        on real data
#
# The first start makes .venv. Results are kept in runs/<experiment_name>/; the same command started
# again goes on where it was stopped. All settings: python 01_prepare_folds.py --help
# CPU=1 bash run_all.sh ... takes PyTorch without CUDA where .venv is not there yet: a third of the size.
# PHANTOM="--subjects 30 --frames 40" draws another phantom, where data/phantom is not there yet.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/tools/environment.sh"

case " $* " in *" --help "* | *" -h "*)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit
    ;;
esac

use_environment requirements.txt

case " $*" in
*" data="* | *" data_folder="* | *" --config"*) settings=("$@") ;;
*)
    echo "== No data= was given: a phantom data set takes its place"
    # shellcheck disable=SC2086  # PHANTOM is a list of words
    PYTHONPATH=$here "$python" -P -m tools.phantom data/phantom ${PHANTOM:-}
    settings=(--config "$here/configs/demo.yaml" data=data/phantom "$@")
    ;;
esac

for step in 01_prepare_folds 02_train 03_infer 04_make_submission; do
    echo "== $step.py"
    "$python" "$here/$step.py" "${settings[@]}"
done
