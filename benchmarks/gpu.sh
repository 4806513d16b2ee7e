#!/usr/bin/env bash
# The whole pipeline on one GPU, proven and timed, without a network: bash benchmarks/gpu.sh OUT [STAGE ...]
#
#   tests      what only a GPU can show: tests/steps/test_cuda.py
#   step       Unet/resnet34 at 448x448, batch 16: precisions, compilation, a plain loop
#   reference  Hydrogen Torch's use case 70 on 2,323 phantom frames: five folds of five epochs, 03, 04
#   real       configs/best.yaml on the images of DATA (any layout), at 192x256 and 448x448
#
# OUT gets a log a stage and gpu.json, a list of what each stage measured. Without stages all but
# `real` run, and that one where DATA is set. PYTHON=/path/to/python names the Python that has the
# packages. TINY=1 does the same in small, to try the script where there is no GPU.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
out=$(mkdir -p "$1" && cd "$1" && pwd) || exit 1
shift
python=${PYTHON:-python3}
work=${WORK:-$(mktemp -d)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
stages=${*:-tests step reference ${DATA:+real}}
workers=number_of_workers=$(nproc)
if [ -n "${TINY:-}" ]; then
    tiny=(backbone=tu-test_efficientnet image_height=64 image_width=64 batch_size=4 epochs=1 n_folds=2 "folds=[0,1]")
    people=(--subjects 3 --frames 9 --test-subjects 1 --test-frames 4)
else
    tiny=()
    people=(--subjects 23 --frames 101 --test-subjects 1 --test-frames 12)
fi

# timed STAGE NAME COMMAND...: runs it, appends its seconds to gpu.json; the log keeps what it says.
timed() {
    local stage=$1 name=$2 began ended rc
    shift 2
    began=$(date +%s.%N)
    "$@" >>"$out/$stage.log" 2>&1
    rc=$?
    ended=$(date +%s.%N)
    "$python" -m benchmarks.gpu row "$out" stage="$stage" what="$name" \
        seconds="$(awk "BEGIN { print $ended - $began }")" status="$rc"
}

# pipeline STAGE NAME SETTINGS...: the four steps, one after the other.
pipeline() {
    local stage=$1 name=$2 step
    shift 2
    for step in 01_prepare_folds 02_train 03_infer 04_make_submission; do
        timed "$stage" "$name $step" "$python" $step.py "$@" runs_folder="$work/runs" \
            experiment_name="$name" quiet=true "$workers" "${tiny[@]}"
    done
    "$python" -m benchmarks.gpu score "$out" "$stage" "$work/runs/$name"
}

for stage in $stages; do
    case $stage in
        tests) timed tests "tests/steps/test_cuda.py" "$python" -m pytest -p no:cacheprovider -n 6 -v --durations=0 tests/steps/test_cuda.py ;;
        step) timed step "all variants" "$python" -m benchmarks.gpu_step "$out" ${TINY:+--tiny} ;;
        reference)
            [ -d "$work/phantom" ] ||
                timed reference "drawing the phantom" "$python" -m tools.phantom "$work/phantom" "${people[@]}"
            pipeline reference reference data="$work/phantom" pretrained=false
            ;;
        real)
            pipeline real best_192x256 --config configs/best.yaml data="$DATA" ${TINY:+pretrained=false}
            pipeline real best_448x448 --config configs/best.yaml data="$DATA" image_height=448 image_width=448 ${TINY:+pretrained=false}
            ;;
        *) echo "no such stage: $stage" >&2 && exit 2 ;;
    esac
done
"$python" -m benchmarks.gpu table "$out"
