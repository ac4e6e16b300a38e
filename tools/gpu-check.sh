#!/usr/bin/env bash
# All that a machine with a GPU can tell, in at most ten minutes, without network:
#
#     tools/gpu-check.sh [--short] [folder]
#
# Needs the webgpu packages (bnn setup webgpu, or a bundle made with them: npm run bundle -- --with-tests --with-mnist). Where BNN_PYTHON
# names a Python that has torch, PyTorch is measured on the same GPU. Each step has a time limit of its own and one line of JSON in
# <folder>/gpu-check.jsonl (build/gpu-check unless told); what it printed lies beside it. A step that fails ends nothing but itself.
# npx tsx tools/gpu-report.ts <folder>/gpu-check.jsonl makes tables of it. --short makes everything small enough for a device that computes
# on the CPU.

set -u
cd "$(dirname "$0")/.."
short=0
if [ "${1:-}" = --short ]; then short=1; shift; fi
out=${1:-build/gpu-check}
mkdir -p "$out"
out=$(cd "$out" && pwd)
lines=$out/gpu-check.jsonl
: > "$lines"
node=node
[ -x node/node ] && node=$PWD/node/node
bnn=("$node" --import tsx src/cli/bnn.ts)
python=${BNN_PYTHON:-}
# A software device takes seconds for a shader.
limit_factor=1
[ $short = 1 ] && limit_factor=${GPU_CHECK_SLOWNESS:-10}
deadline=$((SECONDS + 600 * limit_factor))

# step <name> <seconds> <command …>: runs it within its time and what is left of the whole; its output is kept, and JSON lines of it taken over.
step() {
  local name=$1 seconds=$(($2 * limit_factor)) begin=$SECONDS status
  shift 2
  local left=$((deadline - SECONDS))
  [ $seconds -gt $left ] && seconds=$left
  if [ $seconds -le 0 ]; then
    echo "$name: no time is left" >&2
    printf '{"step":"%s","status":"no time left"}\n' "$name" >> "$lines"
    return
  fi
  echo "$name …" >&2
  timeout -k 5 "$seconds" "$@" > "$out/$name.out" 2> "$out/$name.err" < /dev/null
  status=$?
  echo "$name: status $status, $((SECONDS - begin)) s" >&2
  "$node" tools/gpu-check-line.mjs "$name" $status $((SECONDS - begin)) "$out/$name.out" "$out/$name.err" >> "$lines"
}

export BNN_DAWN_FLAGS="${BNN_DAWN_FLAGS:-}"
step machine 20 bash -c 'nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit --format=csv,noheader; nvidia-smi -L; vulkaninfo --summary; uname -sr; ls /dev/dri /dev/nvidia*; true'
step doctor 30 "${bnn[@]}" doctor --json

if [ $short = 1 ]; then
  step tests 60 "$node" node_modules/vitest/vitest.mjs run test/backends/webgpu/sign-table.test.ts
  step kernels 30 "$node" --import tsx tools/bench-webgpu.ts --json --small
  rounds=(--rounds 1 --steps 1)
  networks=("resnet20 2")
  cores_network="resnet20 2"
  small=(--small)
  torch_steps=(--steps 1 --rounds 1)
  mnist=(--limit-train 64 --limit-test 32 --batch-size 16)
  pictures=32
else
  step tests 90 "$node" node_modules/vitest/vitest.mjs run test/backends/webgpu test/kernels
  step kernels 40 "$node" --import tsx tools/bench-webgpu.ts --json
  rounds=(--rounds 5 --steps 20)
  networks=("resnet20 128" "resnet18-cifar 256" "resnet18 128")
  cores_network="resnet18-cifar 256"
  small=()
  torch_steps=(--steps 20 --rounds 3)
  mnist=()
  pictures=2000
fi

for network in "${networks[@]}"; do
  read -r model batch <<< "$network"
  step "train-$model" 60 env -u BNN_PYTHON "${bnn[@]}" bench train --backend webgpu --model "$model" --batch "$batch" \
    "${rounds[@]}" --profile "$out/train-$model.trace.json" --json
done

# Off unless asked for: compared with the ordinary kernels, and in a step of training.
lack=$(BNN_TENSOR_CORES=1 "${bnn[@]}" doctor --json 2> /dev/null | "$node" -e '
  const { backends } = JSON.parse(require("node:fs").readFileSync(0, "utf8").split("\n")[0]);
  const { works, detail } = backends.find(({ name }) => name === "webgpu");
  console.log(works ? "" : detail);
')
if [ -z "$lack" ]; then
  export BNN_TENSOR_CORES=1
  read -r model batch <<< "$cores_network"
  step tensor-cores 40 "$node" --import tsx tools/bench-webgpu.ts --tensor-cores --json "${small[@]}"
  step "train-$model-tensor-cores" 40 env -u BNN_PYTHON "${bnn[@]}" bench train --backend webgpu --model "$model" --batch "$batch" \
    "${rounds[@]}" --profile "$out/train-$model-tensor-cores.trace.json" --json
  unset BNN_TENSOR_CORES
else
  echo "tensor-cores: $lack" >&2
  "$node" -e 'console.log(JSON.stringify({ step: "tensor-cores", status: "not here", text: process.argv[1] }))' "$lack" >> "$lines"
fi

if [ -n "$python" ]; then
  for network in "${networks[@]}"; do
    read -r model batch <<< "$network"
    for precision in fp32 tf32 bf16; do
      layout=()
      [ $precision = bf16 ] && layout=(--channels-last)
      step "pytorch-$model-$precision" 20 "$python" tools/bench/pytorch_resnet.py --gpu --model "$model" --batch "$batch" \
        --precision $precision "${layout[@]}" "${torch_steps[@]}"
    done
  done
else
  echo 'pytorch: BNN_PYTHON names no interpreter' >&2
fi

for backend in webgpu native; do
  rm -rf "$out/mnist-$backend"
  step "mnist-$backend" 70 "${bnn[@]}" train --model binarynet-mini --dataset mnist --epochs 2 --backend $backend --out "$out/mnist-$backend" \
    "${mnist[@]}" --json
done

step export 20 "${bnn[@]}" export "$out/mnist-webgpu" -o "$out/mnist.onnx" --json
providers=(webgpu)
"${bnn[@]}" doctor --json 2> /dev/null | grep -q '"name":"cuda","works":true' && providers+=(cuda)
for ep in "${providers[@]}"; do
  step "validate-$ep" 40 "${bnn[@]}" validate "$out/mnist.onnx" --dataset mnist --limit $pictures --ep $ep --against-ep cpu --json
  step "model-$ep" 40 "${bnn[@]}" bench model "$out/mnist.onnx" --ep $ep --batch 1,64 --rounds 3 --json
done
echo "wrote $lines" >&2
