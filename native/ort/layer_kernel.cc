// A node of a layer operator: checks what it is given, keeps the weights in the kernels' order, runs them.
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/binary_conv/binary_conv.h"
#include "kernels/binary_gemm/binary_gemm.h"
#include "kernels/binary_weight/binary_weight.h"
#include "memory/scratch_pool.h"
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
  bool constantScale = false, constantBias = false;
  std::vector<float> scale, bias;     // padded for binary layers; when constant

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

// What the kernels want of scale and bias: padded to whole tiles for binary layers.
size_t channel_count(const LayerKernel& kernel, const Layer& layer) {
  return kernel.op->weightOnly ? static_cast<size_t>(layer.shape.outputs)
                               : static_cast<size_t>(layer.shape.groups * layer.weights.binary.groupOutputs);
}

void read_channels(const LayerKernel& kernel, const Layer& layer, const char* name, const TensorView& tensor, float* out) {
  expect(name, tensor, kFloat, &layer.shape.outputs, 1);
  if (kernel.op->weightOnly) {
    std::copy_n(tensor.floats(), layer.shape.outputs, out);
  } else {
    pad_outputs(layer.shape, layer.weights.binary, tensor.floats(), out);
  }
}

const OrtValue* constant_input(const OrtApi* api, const OrtKernelInfo* info, size_t index) {
  int constant = 0;
  const OrtValue* value = nullptr;
  check(api, KernelInfoGetConstantInput::call(api, info, index, &constant, &value));
  return constant != 0 ? value : nullptr;
}

void read_constants(LayerKernel& kernel, const OrtKernelInfo* info) {
  const OrtApi* api = kernel.api;
  const OrtValue* w = constant_input(api, info, 1);
  if (w == nullptr) return;
  kernel.layer = prepare_layer(kernel, view(api, w));
  kernel.constantWeights = true;
  if (const OrtValue* scale = constant_input(api, info, 2)) {
    kernel.scale.resize(channel_count(kernel, kernel.layer));
    read_channels(kernel, kernel.layer, "scale", view(api, scale), kernel.scale.data());
    kernel.constantScale = true;
  }
  if (const OrtValue* bias = constant_input(api, info, 3)) {
    kernel.bias.resize(channel_count(kernel, kernel.layer));
    read_channels(kernel, kernel.layer, "bias", view(api, bias), kernel.bias.data());
    kernel.constantBias = true;
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
  check(kernel.api, KernelContextGetInput::call(kernel.api, context, index, &value));
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

  const size_t channels = channel_count(kernel, layer);
  Scratch scratch(2 * channels * sizeof(float));
  float* scale = scratch.as<float>();
  float* bias = scale + channels;
  if (!kernel.constantScale) read_channels(kernel, layer, "scale", input(kernel, context, 2), scale);
  if (!kernel.constantBias) read_channels(kernel, layer, "bias", input(kernel, context, 3), bias);

  const int64_t height = op.dense ? 1 : x.dims[2], width = op.dense ? 1 : x.dims[3];
  const int64_t outDims[4] = {x.dims[0], s.outputs, s.out_size(0, height), s.out_size(1, width)};
  const size_t rank = op.dense ? 2 : 4;
  const float* residual = nullptr;
  if (op.add) {
    const TensorView tensor = input(kernel, context, 4);
    expect("residual", tensor, kFloat, outDims, rank);
    residual = tensor.floats();
  }
  OrtValue* output = nullptr;
  check(api, KernelContextGetOutput::call(api, context, 0, outDims, rank, &output));
  void* y = nullptr;
  check(api, GetTensorMutableData::call(api, output, &y));

  const ContextThreads threads(api, context);
  const float* scales = kernel.constantScale ? kernel.scale.data() : scale;
  const float* biases = kernel.constantBias ? kernel.bias.data() : bias;
  if (op.weightOnly) {
    const WeightLayerCall call{x.dims[0], height, width, x.floats(), scales, biases, op.relu, residual, static_cast<float*>(y)};
    const auto compute = op.dense ? binary_weight_gemm : binary_weight_conv;
    compute(s, layer.weights.unpacked, call, threads.parallel());
    return;
  }
  const std::shared_ptr<const BinaryConvPlan> plan = plan_for(kernel, layer, height, width);
  if (op.dense) {
    binary_gemm(s, layer.weights.binary, *plan, {x.dims[0], x.floats(), scales, biases, op.relu, residual, static_cast<float*>(y)},
                threads.parallel());
  } else {
    binary_conv(s, layer.weights.binary, *plan,
                {x.dims[0], height, width, x.floats(), scales, biases, op.relu, residual, static_cast<float*>(y)},
                threads.parallel());
  }
}

}  // namespace

OrtStatus* create_layer(const OrtCustomOp* pointer, const OrtApi* api, const OrtKernelInfo* info, void** out) {
  const LayerOp* op = reinterpret_cast<const LayerOp*>(pointer);
  std::string who;
  OrtStatus* status = guarded(api, "bnn", [&] { who = describe_node(api, info, op->name); });
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
