// A node of a layer operator: checks what it is given, keeps the weights in the kernels' order, runs them.
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/binary_conv/binary_conv.h"
#include "kernels/binary_gemm/binary_gemm.h"
#include "kernels/binary_weight/binary_weight.h"
#include "ort/broadcast.h"
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
  Layer layer;  // when constantWeights
  // Of each of op->inputs that holds one number per channel: empty unless it is that and constant.
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
  if (w.dims[0] == 0) throw Problem("input w is " + describe(w) + ", expected at least one output");
  layer.shape.outputs = w.dims[0];
  if (layer.shape.outputs % layer.shape.groups != 0) {
    throw Problem(std::to_string(layer.shape.outputs) + " output channels in " + std::to_string(layer.shape.groups) + " groups");
  }
  const uint8_t* bits = static_cast<const uint8_t*>(w.data);
  if (!kernel.op->weightOnly) {
    layer.weights.binary = pack_binary_weights(layer.shape, bits);
    // Rows of a dense layer are columns, which read the plain words.
    if (kernel.op->dense) layer.weights.binary.triples = {};
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

// Whether a tensor says one number for each channel: it is a vector of them, or one number for all, or, where nothing follows the channels, a row.
bool is_per_channel(const LayerKernel& kernel, const TensorView& tensor, int64_t size) {
  if (tensor.type != kFloat || tensor.rank > 2 || (tensor.rank == 0 && !kernel.op->dense)) return false;
  const int64_t rows = tensor.rank == 2 ? tensor.dims[0] : 1, last = tensor.rank == 0 ? 1 : tensor.dims[tensor.rank - 1];
  return rows == 1 && (last == 1 || (last == size && (tensor.rank == 1 || kernel.op->dense)));
}

// Reads a vector in the form that the kernels want; false when it is none.
bool read_vector(const LayerKernel& kernel, const Layer& layer, const LayerInput& input, const TensorView& tensor, float* out) {
  const BinaryConvShape& s = layer.shape;
  const int64_t size = input.target == nullptr ? s.groups * s.channels : s.outputs;
  if (!is_per_channel(kernel, tensor, size)) return false;
  const bool isOne = tensor.rank == 0 || tensor.dims[tensor.rank - 1] == 1;
  const std::vector<float> repeated(isOne ? static_cast<size_t>(size) : 0, tensor.floats()[0]);
  const float* values = isOne ? repeated.data() : tensor.floats();
  if (input.target == nullptr || kernel.op->weightOnly) {
    std::copy_n(values, size, out);
  } else {
    pad_outputs(s, layer.weights.binary, values, out);
  }
  return true;
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
    if (!read_vector(kernel, kernel.layer, input, view(api, value), kernel.vectors[i].data())) kernel.vectors[i].clear();
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

// The data as images, or as rows of a dense layer, and what becomes of them.
struct Data {
  const float* x;
  int64_t batch, height, width;
  std::vector<int64_t> outDims;
};

Data check_data(const LayerKernel& kernel, const BinaryConvShape& s, const TensorView& x) {
  const int64_t channels = s.channels * s.groups;
  if (kernel.op->dense) {
    if (x.type != kFloat || x.rank == 0 || x.rank > TensorView::kMostRank || x.dims[x.rank - 1] != channels) {
      throw Problem("input x is " + describe(x) + ", expected f32[?, " + std::to_string(channels) + "]");
    }
    Data data{x.floats(), 1, 1, 1, {x.dims, x.dims + x.rank}};
    data.outDims.back() = s.outputs;
    for (size_t i = 0; i + 1 < x.rank; i++) data.batch *= x.dims[i];
    return data;
  }
  const int64_t dims[4] = {-1, channels, -1, -1};
  expect("x", x, kFloat, dims, 4);
  for (int axis = 0; axis < 2; axis++) {
    const int64_t size = x.dims[2 + axis];
    if (s.out_size(axis, size) >= 1) continue;
    throw Problem("a kernel of " + std::to_string(s.kernel[axis]) + " (dilation " + std::to_string(s.dilations[axis]) +
                  ") does not fit " + std::to_string(size + s.pads[axis] + s.pads[axis + 2]) + " padded elements");
  }
  const ConvLayout layout = layout_of(s, x.dims[2], x.dims[3]);
  if (layout.rowWords > kMaxPlane / layout.paddedHeight) throw Problem("a padded image of more than 2^31 elements");
  return {x.floats(), x.dims[0], x.dims[2], x.dims[3], {x.dims[0], s.outputs, layout.outHeight, layout.outWidth}};
}

float* new_output(const OrtApi* api, OrtKernelContext* context, const std::vector<int64_t>& dims) {
  OrtValue* output = nullptr;
  check(api, KernelContext_GetOutput::call(api, context, 0, dims.data(), dims.size(), &output));
  void* y = nullptr;
  check(api, GetTensorMutableData::call(api, output, &y));
  return static_cast<float*>(y);
}

// y, where there is any.
void compute(LayerKernel& kernel, const Layer& layer, const Data& data, const float* xThreshold, const Epilogue& epilogue,
             const Parallel& parallel, float* y) {
  const LayerOp& op = *kernel.op;
  const BinaryConvShape& s = layer.shape;
  if (data.batch == 0) return;
  if (op.weightOnly) {
    const WeightLayerCall call{data.batch,    data.height,   data.width,        data.x, epilogue.scale,
                               epilogue.bias, epilogue.relu, epilogue.residual, y};
    const auto run = op.dense ? binary_weight_gemm : binary_weight_conv;
    run(s, layer.weights.unpacked, call, parallel);
    return;
  }
  const std::shared_ptr<const BinaryConvPlan> plan = plan_for(kernel, layer, data.height, data.width);
  if (op.dense) {
    binary_gemm(s, layer.weights.binary, *plan, {data.batch, data.x, epilogue, y}, parallel);
  } else {
    binary_conv(s, layer.weights.binary, *plan, {data.batch, data.height, data.width, data.x, xThreshold, epilogue, y}, parallel);
  }
}

// What the node's function body does with shapes that the kernels do not know, step by step: only the accumulators come from them.
class LooseLayer {
 public:
  LooseLayer(LayerKernel& kernel, const Layer& layer, OrtKernelContext* context) : kernel_(kernel), layer_(layer), context_(context) {}

  AnyTensor run(const TensorView& x, const Parallel& parallel) {
    AnyTensor signs;
    TensorView view = x;
    if (find("x_threshold") >= 0) {
      signs = broadcast(any_tensor("x", x), vector("x_threshold"), [](float v, float least) { return v >= least ? 1.0f : -1.0f; });
      if (signs.dims.size() != 4)
        throw Problem("x and x_threshold make a tensor of rank " + std::to_string(signs.dims.size()) + ", expected 4");
      std::copy(signs.dims.begin(), signs.dims.end(), view.dims);
      view.data = signs.values.data();
    }
    AnyTensor y = sums(check_data(kernel_, layer_.shape, view), parallel);
    if (find("acc_threshold") >= 0)
      return broadcast(y, vector("acc_threshold"), [](float v, float least) { return v >= least ? 1.0f : -1.0f; });
    const auto multiply = [](float a, float b) { return a * b; };
    const auto add = [](float a, float b) { return a + b; };
    if (kernel_.op->relu) {
      for (float& value : y.values) value = value < 0.0f ? 0.0f : value;
    }
    y = broadcast(broadcast(vector("scale"), y, multiply), vector("bias"), add);
    if (find("residual") >= 0) y = broadcast(y, any_tensor("residual", input(kernel_, context_, index("residual"))), add);
    if (find("slope") < 0) return y;
    const std::vector<int64_t> dims = y.dims;
    y = broadcast(y, vector("slope"), [](float v, float slope) { return v < 0.0f ? slope * v : v; });
    if (y.dims != dims) throw Problem("slope has more elements than what it multiplies");
    return broadcast(y, vector("offset"), add);
  }

 private:
  int find(const std::string& name) const {
    const std::vector<LayerInput>& inputs = kernel_.op->inputs;
    for (size_t i = 0; i < inputs.size(); i++) {
      if (name == inputs[i].name) return static_cast<int>(i);
    }
    return -1;
  }
  size_t index(const char* name) const { return 2 + static_cast<size_t>(find(name)); }

  // In a convolution, rows and columns follow the first dimension.
  AnyTensor vector(const char* name) const {
    AnyTensor tensor = any_tensor(name, input(kernel_, context_, index(name)));
    if (kernel_.op->dense) return tensor;
    if (tensor.dims.empty()) throw Problem(std::string("input ") + name + " is a scalar, expected a vector");
    tensor.dims.insert(tensor.dims.begin() + 1, 2, 1);
    return tensor;
  }

  AnyTensor sums(const Data& data, const Parallel& parallel) {
    AnyTensor y{data.outDims, std::vector<float>(static_cast<size_t>(element_count(data.outDims)))};
    // Padding alone adds nothing.
    if (data.height == 0 || data.width == 0) return y;
    const BinaryConvShape& s = layer_.shape;
    const size_t size = static_cast<size_t>(kernel_.op->weightOnly ? s.outputs : s.groups * layer_.weights.binary.groupOutputs);
    const std::vector<float> ones(size, 1.0f), zeros(size);
    Epilogue epilogue{};
    epilogue.scale = ones.data();
    epilogue.bias = zeros.data();
    compute(kernel_, layer_, data, nullptr, epilogue, parallel, y.values.data());
    return y;
  }

  LayerKernel& kernel_;
  const Layer& layer_;
  OrtKernelContext* context_;
};

// The inputs after w, in the form that the kernels want.
struct Operands {
  std::vector<float> read;  // what was not constant
  Epilogue epilogue{};
  const float* xThreshold = nullptr;
};

// False when an input has another form.
bool read_operands(LayerKernel& kernel, const Layer& layer, OrtKernelContext* context, const std::vector<int64_t>& outDims,
                   Operands& operands) {
  const LayerOp& op = *kernel.op;
  size_t missing = 0;
  for (size_t i = 0; i < op.inputs.size(); i++) {
    if (kernel.vectors[i].empty() && !op.inputs[i].is_residual()) missing += vector_size(kernel, layer, op.inputs[i]);
  }
  operands.read.resize(missing);
  float* free = operands.read.data();
  operands.epilogue.relu = op.relu;
  for (size_t i = 0; i < op.inputs.size(); i++) {
    const LayerInput& in = op.inputs[i];
    const float* values = kernel.vectors[i].data();
    if (in.is_residual()) {
      const TensorView tensor = input(kernel, context, 2 + i);
      if (tensor.type != kFloat || tensor.rank != outDims.size() || !std::equal(outDims.begin(), outDims.end(), tensor.dims))
        return false;
      values = tensor.floats();
    } else if (kernel.vectors[i].empty()) {
      if (!read_vector(kernel, layer, in, input(kernel, context, 2 + i), free)) return false;
      values = free;
      free += vector_size(kernel, layer, in);
    }
    (in.target == nullptr ? operands.xThreshold : operands.epilogue.*in.target) = values;
  }
  return true;
}

void run(LayerKernel& kernel, OrtKernelContext* context) {
  const Layer own = kernel.constantWeights ? Layer{} : prepare_layer(kernel, input(kernel, context, 1));
  const Layer& layer = kernel.constantWeights ? kernel.layer : own;
  const TensorView x = input(kernel, context, 0);
  const Data data = check_data(kernel, layer.shape, x);
  const ContextThreads threads(kernel.api, context);
  Operands operands;
  if (data.height > 0 && data.width > 0 && read_operands(kernel, layer, context, data.outDims, operands)) {
    float* y = new_output(kernel.api, context, data.outDims);
    compute(kernel, layer, data, operands.xThreshold, operands.epilogue, threads.parallel(), y);
    return;
  }
  const AnyTensor y = LooseLayer(kernel, layer, context).run(x, threads.parallel());
  std::copy(y.values.begin(), y.values.end(), new_output(kernel.api, context, y.dims));
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
