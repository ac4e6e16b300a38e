// A node `BinaryChain`: the layers that src/inference/fuse-chains.ts puts into one when a session is made. No file has it.
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/chain/chain.h"
#include "ort/context.h"
#include "ort/layer_op.h"
#include "ort/problem.h"

namespace bnn {
namespace ort {
namespace {

struct ChainKernel {
  const OrtApi* api;
  std::string who;
  ChainProgram program;

  // Plans by image size, made when first needed; runs may come at the same time.
  std::mutex mutex;
  std::vector<std::shared_ptr<const ChainPlan>> plans;
};

// Image sizes whose plans are kept.
constexpr size_t kMaxPlans = 8;

bool is_for(const ChainPlan& plan, const std::vector<ChainValue>& inputs) {
  return std::equal(inputs.begin(), inputs.end(), plan.values.begin(), [](const ChainValue& a, const ChainValue& b) {
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
  });
}

std::shared_ptr<const ChainPlan> plan_for(ChainKernel& kernel, const std::vector<ChainValue>& inputs) {
  std::lock_guard<std::mutex> lock(kernel.mutex);
  for (const auto& plan : kernel.plans) {
    if (is_for(*plan, inputs)) return plan;
  }
  auto plan = std::make_shared<const ChainPlan>(plan_chain(kernel.program, inputs));
  if (kernel.plans.size() >= kMaxPlans) kernel.plans.erase(kernel.plans.begin());
  kernel.plans.push_back(plan);
  return plan;
}

void run(ChainKernel& kernel, OrtKernelContext* context) {
  const OrtApi* api = kernel.api;
  const ChainProgram& program = kernel.program;
  int64_t batch = 0;
  std::vector<ChainValue> sizes;
  std::vector<const float*> inputs;
  for (int i = 0; i < program.inputs; i++) {
    const OrtValue* value = nullptr;
    check(api, KernelContext_GetInput::call(api, context, static_cast<size_t>(i) + 1, &value));
    const TensorView x = view(api, value);
    const int64_t dims[4] = {i == 0 ? -1 : batch, -1, -1, -1};
    expect("of the chain", x, kFloat, dims, 4);
    batch = x.dims[0];
    sizes.push_back({x.dims[1], x.dims[2], x.dims[3]});
    inputs.push_back(x.floats());
  }
  const std::shared_ptr<const ChainPlan> plan = plan_for(kernel, sizes);
  std::vector<float*> outputs;
  for (size_t o = 0; o < program.outputs.size(); o++) {
    const ChainValue& y = plan->values[static_cast<size_t>(program.outputs[o])];
    const int64_t dims[4] = {batch, y.channels, y.height, y.width};
    OrtValue* output = nullptr;
    check(api, KernelContext_GetOutput::call(api, context, o, dims, 4, &output));
    void* data = nullptr;
    check(api, GetTensorMutableData::call(api, output, &data));
    outputs.push_back(static_cast<float*>(data));
  }
  const ContextThreads threads(api, context);
  run_chain(program, *plan, batch, inputs.data(), outputs.data(), threads.parallel());
}

}  // namespace

OrtStatus* create_chain(const OrtCustomOp*, const OrtApi* api, const OrtKernelInfo* info, void** out) {
  std::string who;
  OrtStatus* status = guarded(api, "bnn.BinaryChain", [&] { who = describe_node(api, info, "BinaryChain"); });
  if (status != nullptr) return status;
  return guarded(api, who.c_str(), [&] {
    int constant = 0;
    const OrtValue* value = nullptr;
    check(api, KernelInfoGetConstantInput_tensor::call(api, info, 0, &constant, &value));
    if (constant == 0) throw Problem("its program is no constant");
    const TensorView bytes = view(api, value);
    const int64_t dims[1] = {-1};
    expect("program", bytes, kUint8, dims, 1);
    auto kernel = std::make_unique<ChainKernel>();
    kernel->api = api;
    kernel->who = who;
    kernel->program = read_chain(static_cast<const uint8_t*>(bytes.data), static_cast<size_t>(bytes.dims[0]));
    *out = kernel.release();
  });
}

OrtStatus* compute_chain(void* pointer, OrtKernelContext* context) {
  ChainKernel& kernel = *static_cast<ChainKernel*>(pointer);
  return guarded(kernel.api, kernel.who.c_str(), [&] { run(kernel, context); });
}

void destroy_chain(void* kernel) { delete static_cast<ChainKernel*>(kernel); }

}  // namespace ort
}  // namespace bnn
