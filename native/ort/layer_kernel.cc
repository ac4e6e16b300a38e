// A node of a layer operator: checks what it is given, keeps the weights in the kernels' order, runs them.
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/binary_conv/binary_conv.h"
#include "kernels/binary_gemm/binary_gemm.h"
#include "kernels/binary_weight/binary_weight.h"
#include "ort/context.h"
#include "ort/layer_op.h"
#include "ort/problem.h"

namespace bnn {
namespace ort {
namespace {

// Larger ones cannot be meant, and their products would overflow.
constexpr int64_t kMaxAttribute = int64_t{1} << 16;
constexpr int64_t kMaxPlane = int64_t{1} << 31;

// Weights in the form that the kernels want: either of the two.
struct PreparedWeights {
  BinaryWeights binary;
  UnpackedWeights unpacked;
};

// The input w and what follows from it.
struct Layer {
  BinaryConvShape shape;
  PreparedWeights weights;
};

struct LayerKernel {
  const OrtApi* api;
  const LayerOp* op;
  std::string who;
  BinaryConvShape shape;  // outputs is 0 until w is known

  bool constantWeights = false;
  Layer layer;                        // when constantWeights
  // Of each of op->inputs that holds one number per channel: empty unless constant.
  std::vector<std::vector<float>> vectors;

  // Plans by image size, made when first needed; runs may come at the same time.
  std::mutex mutex;
  std::vector<std::shared_ptr<const BinaryConvPlan>> plans;
};

// Image sizes whose plans are kept.
constexpr size_t kMaxPlans = 8;

BinaryConvShape read_shape(const OrtApi* api, const OrtKernelInfo* info, bool dense) {
  const int64_t channels = int_attribute(api, info, "channels", 1, kMaxBits);
  if (dense) return dense_shape(channels, 0);
  BinaryConvShape s{};
  s.channels = channels;
  s.groups = int_attribute(api, info, "group", 1, kMaxBits);
  ints_attribute(api, info, "kernel_shape", s.kernel, 2, 1, kMaxAttribute);
  ints_attribute(api, info, "strides", s.strides, 2, 1, kMaxAttribute);
  ints_attribute(api, info, "dilations", s.dilations, 2, 1, kMaxAttribute);
  ints_attribute(api, info, "pads", s.pads, 4, 0, kMaxAttribute);
  if (s.taps() > kMaxBits || s.bits() > kMaxBits) {
    throw Problem("an output sees " + std::to_string(s.bits()) + " bits, expected at most " + std::to_string(kMaxBits));
  }
  return s;
}

Layer prepare_layer(const LayerKernel& kernel, const TensorView& w) {
  Layer layer;
  layer.shape = kernel.shape;
  const int64_t rowBytes = (layer.shape.channels + 7) / 8;
  const int64_t dims[4] = {-1, layer.shape.kernel[0], layer.shape.kernel[1], rowBytes};
  const int64_t denseDims[2] = {-1, rowBytes};
  if (kernel.op->dense) {
    expect("w", w, kUint8, denseDims, 2);
  } else {
    expect("w", w, kUint8, dims, 4);
  }
  layer.shape.outputs = w.dims[0];
  if (layer.shape.outputs % layer.shape.groups != 0) {
    throw Problem(std::to_string(layer.shape.outputs) + " output channels in " + std::to_string(layer.shape.groups) + " groups");
  }
  const uint8_t* bits = static_cast<const uint8_t*>(w.data);
  if (!kernel.op->weightOnly) {
    layer.weights.binary = pack_binary_weights(layer.shape, bits);
  } else if (kernel.op->dense) {
    layer.weights.unpacked = unpack_dense_weights(layer.shape, bits);
  } else {
    layer.weights.unpacked = unpack_conv_weights(layer.shape, bits);
  }
  return layer;
}

// Floats of a vector in the form that the kernels want: padded to whole tiles along the outputs of binary layers.
size_t vector_size(const LayerKernel& kernel, const Layer& layer, const LayerInput& input) {
  const BinaryConvShape& s = layer.shape;
  if (input.target == nullptr) return static_cast<size_t>(s.groups * s.channels);
  return static_cast<size_t>(kernel.op->weightOnly ? s.outputs : s.groups * layer.weights.binary.groupOutputs);
}

void read_vector(const LayerKernel& kernel, const Layer& layer, const LayerInput& input, const TensorView& tensor, float* out) {
  const BinaryConvShape& s = layer.shape;
  const int64_t size = input.target == nullptr ? s.groups * s.channels : s.outputs;
  expect(input.name, tensor, kFloat, &size, 1);
  if (input.target == nullptr || kernel.op->weightOnly) {
    std::copy_n(tensor.floats(), size, out);
  } else {
    pad_outputs(s, layer.weights.binary, tensor.floats(), out);
  }
}

const OrtValue* constant_input(const OrtApi* api, const OrtKernelInfo* info, size_t index) {
  int constant = 0;
  const OrtValue* value = nullptr;
  check(api, KernelInfoGetConstantInput_tensor::call(api, info, index, &constant, &value));
  return constant != 0 ? value : nullptr;
}

void read_constants(LayerKernel& kernel, const OrtKernelInfo* info) {
  const OrtApi* api = kernel.api;
  kernel.vectors.resize(kernel.op->inputs.size());
  const OrtValue* w = constant_input(api, info, 1);
  if (w == nullptr) return;
  kernel.layer = prepare_layer(kernel, view(api, w));
  kernel.constantWeights = true;
  for (size_t i = 0; i < kernel.op->inputs.size(); i++) {
    const LayerInput& input = kernel.op->inputs[i];
    const OrtValue* value = input.is_residual() ? nullptr : constant_input(api, info, 2 + i);
    if (value == nullptr) continue;
    kernel.vectors[i].resize(vector_size(kernel, kernel.layer, input));
    read_vector(kernel, kernel.layer, input, view(api, value), kernel.vectors[i].data());
  }
}

std::shared_ptr<const BinaryConvPlan> plan_for(LayerKernel& kernel, const Layer& layer, int64_t height, int64_t width) {
  if (!kernel.constantWeights) {
    return std::make_shared<BinaryConvPlan>(plan_binary_conv(layer.shape, layer.weights.binary, height, width));
  }
  std::lock_guard<std::mutex> lock(kernel.mutex);
  for (const auto& plan : kernel.plans) {
    if (plan->layout.height == height && plan->layout.width == width) return plan;
  }
  auto plan = std::make_shared<const BinaryConvPlan>(plan_binary_conv(layer.shape, layer.weights.binary, height, width));
  if (kernel.plans.size() >= kMaxPlans) kernel.plans.erase(kernel.plans.begin());
  kernel.plans.push_back(plan);
  return plan;
}

TensorView input(const LayerKernel& kernel, OrtKernelContext* context, size_t index) {
  const OrtValue* value = nullptr;
  check(kernel.api, KernelContext_GetInput::call(kernel.api, context, index, &value));
  return view(kernel.api, value);
}

void check_data(const LayerKernel& kernel, const BinaryConvShape& s, const TensorView& x) {
  const int64_t dims[4] = {-1, s.channels * s.groups, -1, -1};
  expect("x", x, kFloat, dims, kernel.op->dense ? 2 : 4);
  if (kernel.op->dense) return;
  for (int axis = 0; axis < 2; axis++) {
    const int64_t size = x.dims[2 + axis];
    if (s.out_size(axis, size) >= 1) continue;
    throw Problem("a kernel of " + std::to_string(s.kernel[axis]) + " (dilation " + std::to_string(s.dilations[axis]) +
                  ") does not fit " + std::to_string(size + s.pads[axis] + s.pads[axis + 2]) + " padded elements");
  }
  const ConvLayout layout = layout_of(s, x.dims[2], x.dims[3]);
  if (layout.rowWords > kMaxPlane / layout.paddedHeight) throw Problem("a padded image of more than 2^31 elements");
}

void run(LayerKernel& kernel, OrtKernelContext* context) {
  const OrtApi* api = kernel.api;
  const LayerOp& op = *kernel.op;
  const Layer own = kernel.constantWeights ? Layer{} : prepare_layer(kernel, input(kernel, context, 1));
  const Layer& layer = kernel.constantWeights ? kernel.layer : own;
  const BinaryConvShape& s = layer.shape;
  const TensorView x = input(kernel, context, 0);
  check_data(kernel, s, x);

  const int64_t height = op.dense ? 1 : x.dims[2], width = op.dense ? 1 : x.dims[3];
  const int64_t outDims[4] = {x.dims[0], s.outputs, s.out_size(0, height), s.out_size(1, width)};
  const size_t rank = op.dense ? 2 : 4;
  size_t missing = 0;
  for (size_t i = 0; i < op.inputs.size(); i++) {
    if (kernel.vectors[i].empty() && !op.inputs[i].is_residual()) missing += vector_size(kernel, layer, op.inputs[i]);
  }
  std::vector<float> read(missing);
  float* free = read.data();
  Epilogue epilogue{};
  epilogue.relu = op.relu;
  const float* xThreshold = nullptr;
  for (size_t i = 0; i < op.inputs.size(); i++) {
    const LayerInput& in = op.inputs[i];
    const float* values = kernel.vectors[i].data();
    if (in.is_residual()) {
      const TensorView tensor = input(kernel, context, 2 + i);
      expect(in.name, tensor, kFloat, outDims, rank);
      values = tensor.floats();
    } else if (kernel.vectors[i].empty()) {
      read_vector(kernel, layer, in, input(kernel, context, 2 + i), free);
      values = free;
      free += vector_size(kernel, layer, in);
    }
    (in.target == nullptr ? xThreshold : epilogue.*in.target) = values;
  }
  OrtValue* output = nullptr;
  check(api, KernelContext_GetOutput::call(api, context, 0, outDims, rank, &output));
  void* y = nullptr;
  check(api, GetTensorMutableData::call(api, output, &y));

  const ContextThreads threads(api, context);
  float* result = static_cast<float*>(y);
  if (op.weightOnly) {
    const WeightLayerCall call{x.dims[0],     height,           width,   x.floats(), epilogue.scale, epilogue.bias,
                               epilogue.relu, epilogue.residual, result};
    const auto compute = op.dense ? binary_weight_gemm : binary_weight_conv;
    compute(s, layer.weights.unpacked, call, threads.parallel());
    return;
  }
  const std::shared_ptr<const BinaryConvPlan> plan = plan_for(kernel, layer, height, width);
  if (op.dense) {
    binary_gemm(s, layer.weights.binary, *plan, {x.dims[0], x.floats(), epilogue, result}, threads.parallel());
  } else {
    binary_conv(s, layer.weights.binary, *plan, {x.dims[0], height, width, x.floats(), xThreshold, epilogue, result},
                threads.parallel());
  }
}

}  // namespace

OrtStatus* create_layer(const OrtCustomOp* pointer, const OrtApi* api, const OrtKernelInfo* info, void** out) {
  const LayerOp* op = reinterpret_cast<const LayerOp*>(pointer);
  std::string who;
  OrtStatus* status = guarded(api, "bnn", [&] { who = describe_node(api, info, op->name.c_str()); });
  if (status != nullptr) return status;
  return guarded(api, who.c_str(), [&] {
    auto kernel = std::make_unique<LayerKernel>();
    kernel->api = api;
    kernel->op = op;
    kernel->who = who;
    kernel->shape = read_shape(api, info, op->dense);
    read_constants(*kernel, info);
    *out = kernel.release();
  });
}

OrtStatus* compute_layer(void* pointer, OrtKernelContext* context) {
  LayerKernel& kernel = *static_cast<LayerKernel*>(pointer);
  return guarded(kernel.api, kernel.who.c_str(), [&] { run(kernel, context); });
}

void destroy_layer(void* kernel) { delete static_cast<LayerKernel*>(kernel); }

}  // namespace ort
}  // namespace bnn
