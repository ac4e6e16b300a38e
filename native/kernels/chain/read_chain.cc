#include <cstring>
#include <stdexcept>
#include <utility>

#include "kernels/chain/chain.h"
#include "kernels/rounding.h"

namespace bnn {
namespace {

constexpr int32_t kVersion = 3;
constexpr int64_t kMaxCount = int64_t{1} << 28;

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t size) : at_(bytes), end_(bytes + size) {}

  int64_t number(int64_t low, int64_t high) {
    int32_t value = 0;
    std::memcpy(&value, take(4), 4);
    if (value < low || value > high) throw std::runtime_error("a number of the chain's program is out of range");
    return value;
  }
  template <size_t kCount>
  void numbers(int64_t (&out)[kCount], int64_t low, int64_t high) {
    for (int64_t& value : out) value = number(low, high);
  }
  const uint8_t* take(size_t bytes) {
    if (bytes > static_cast<size_t>(end_ - at_)) throw std::runtime_error("the chain's program ends too early");
    const uint8_t* found = at_;
    at_ += (bytes + 3) / 4 * 4 <= static_cast<size_t>(end_ - at_) ? (bytes + 3) / 4 * 4 : bytes;
    return found;
  }
  template <typename T>
  std::vector<T> all(int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    std::memcpy(values.data(), take(values.size() * sizeof(T)), values.size() * sizeof(T));
    return values;
  }
  // A vector of `count` floats, or none.
  std::vector<float> floats(int64_t count) {
    const int64_t found = number(0, kMaxCount);
    if (found != 0 && found != count) throw std::runtime_error("a vector of the chain's program has another length than its layer");
    std::vector<float> values(static_cast<size_t>(found));
    if (found > 0) std::memcpy(values.data(), take(values.size() * 4), values.size() * 4);
    return values;
  }
  bool is_at_end() const { return at_ == end_; }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

constexpr int64_t kMaxAttribute = int64_t{1} << 16;

std::vector<float> padded_floats(Reader& reader, const ChainStep& step) {
  const std::vector<float> values = reader.floats(step.shape.outputs);
  if (values.empty()) return values;
  std::vector<float> padded(static_cast<size_t>(step.shape.groups * step.weights.groupOutputs));
  pad_outputs(step.shape, step.weights, values.data(), padded.data());
  return padded;
}

void read_conv(Reader& reader, int values, ChainStep& step) {
  step.residual = static_cast<int>(reader.number(-1, values - 1));
  step.relu = reader.number(0, 1) != 0;
  BinaryConvShape& s = step.shape;
  reader.numbers(s.kernel, 1, kMaxAttribute);
  reader.numbers(s.strides, 1, kMaxAttribute);
  reader.numbers(s.pads, 0, kMaxAttribute);
  reader.numbers(s.dilations, 1, kMaxAttribute);
  s.groups = reader.number(1, kMaxBits);
  s.channels = reader.number(1, kMaxBits);
  s.outputs = reader.number(1, kMaxCount);
  if (s.taps() > kMaxBits || s.bits() > kMaxBits || s.outputs % s.groups != 0)
    throw std::runtime_error("a layer of the chain has too many bits");
  const int64_t bytes = reader.number(0, kMaxCount);
  if (bytes != s.outputs * s.taps() * ceil_div(s.channels, 8))
    throw std::runtime_error("weights of the chain have another size than their layer");
  step.weights = pack_binary_weights(s, reader.take(static_cast<size_t>(bytes)));
  for (std::vector<float>* vector : {&step.scale, &step.bias, &step.slope, &step.offset, &step.threshold})
    *vector = padded_floats(reader, step);
  step.xThreshold = reader.floats(s.groups * s.channels);
  const bool isSign = !step.threshold.empty();
  if (step.scale.empty() != isSign || step.bias.empty() != isSign || step.slope.empty() != step.offset.empty()) {
    throw std::runtime_error("a layer of the chain lacks a vector");
  }
}

void read_float_conv(Reader& reader, ChainStep& step) {
  const bool relu = reader.number(0, 1) != 0;
  BinaryConvShape& s = step.shape;
  reader.numbers(s.kernel, 1, kMaxAttribute);
  reader.numbers(s.strides, 1, kMaxAttribute);
  reader.numbers(s.pads, 0, kMaxAttribute);
  s.channels = reader.number(1, kMaxAttribute);
  s.outputs = reader.number(1, kMaxAttribute);
  if (s.bits() > kMaxBits || s.bits() * s.outputs > kMaxCount) throw std::runtime_error("a layer of the chain has too many weights");
  const bool isPadded = s.pads[0] != 0 || s.pads[1] != 0 || s.pads[2] != 0 || s.pads[3] != 0;
  if (is_pointwise(s) && (isPadded || (s.channels > kBatch && s.channels % kBatch != 0)))
    throw std::runtime_error("a float layer of the chain has channels that are no whole batches");
  const std::vector<float> weights = reader.floats(s.outputs * s.bits());
  std::vector<float> bias = reader.floats(s.outputs), scale = reader.floats(s.outputs), shift = reader.floats(s.outputs);
  if (weights.empty() || scale.empty() != shift.empty()) throw std::runtime_error("a layer of the chain lacks a vector");
  step.floatConv = make_float_conv(s, relu, weights.data(), std::move(bias), std::move(scale), std::move(shift));
}

void read_int8_conv(Reader& reader, ChainStep& step) {
  BinaryConvShape &s = step.shape, pool = dense_shape(1, 1);
  reader.numbers(s.kernel, 1, kMaxAttribute);
  reader.numbers(s.pads, 0, kMaxAttribute);
  s.channels = reader.number(1, kMaxAttribute);
  s.outputs = reader.number(1, kMaxAttribute);
  reader.numbers(pool.kernel, 1, kMaxAttribute);
  reader.numbers(pool.pads, 0, kMaxAttribute);
  for (int axis : {0, 1}) {
    s.strides[axis] = pool.strides[axis] = 2;
    if (pool.pads[axis] >= pool.kernel[axis] || pool.pads[axis + 2] >= pool.kernel[axis])
      throw std::runtime_error("a window of the chain that sees nothing");
  }
  // Sums of 32 bits.
  if (s.bits() > kMaxBits / 64 || s.bits() * s.outputs > kMaxCount)
    throw std::runtime_error("a layer of the chain has too many weights");
  Int8ConvParameters parameters;
  parameters.dataScale = reader.all<float>(1)[0];
  parameters.dataZero = static_cast<int32_t>(reader.number(0, 255));
  parameters.resultZero = static_cast<int32_t>(reader.number(0, 255));
  const std::vector<int8_t> weights = reader.all<int8_t>(s.outputs * s.bits());
  parameters.multiplier = reader.all<float>(s.outputs);
  parameters.bias = reader.all<int32_t>(s.outputs);
  parameters.stepScale = reader.all<float>(s.outputs);
  parameters.stepZero = reader.all<int32_t>(s.outputs);
  parameters.scale = reader.floats(s.outputs);
  parameters.shift = reader.floats(s.outputs);
  if (parameters.scale.empty() != parameters.shift.empty()) throw std::runtime_error("a layer of the chain lacks a vector");
  step.int8Conv = make_int8_conv(s, pool, weights.data(), std::move(parameters));
}

void read_stem_conv(Reader& reader, ChainStep& step) {
  const bool relu = reader.number(0, 1) != 0;
  BinaryConvShape &s = step.shape, pool = dense_shape(1, 1);
  reader.numbers(s.kernel, kStemLeastKernel, kStemMostKernel);
  reader.numbers(s.pads, 0, kMaxAttribute);
  s.channels = reader.number(1, kMaxAttribute);
  s.outputs = reader.number(1, kMaxAttribute);
  reader.numbers(pool.pads, 0, 1);
  for (int axis : {0, 1}) {
    s.strides[axis] = pool.strides[axis] = 2;
    pool.kernel[axis] = 3;
  }
  if (!suits_stem_conv(s, pool)) throw std::runtime_error("a stem of the chain has another pooling than there is a kernel for");
  if (s.bits() * s.outputs > kMaxCount) throw std::runtime_error("a layer of the chain has too many weights");
  const std::vector<float> weights = reader.floats(s.outputs * s.bits());
  std::vector<float> bias = reader.floats(s.outputs), scale = reader.floats(s.outputs), shift = reader.floats(s.outputs);
  if (weights.empty() || scale.empty() != shift.empty()) throw std::runtime_error("a layer of the chain lacks a vector");
  std::vector<bool> least;
  for (int64_t o = 0; o < s.outputs; o++) least.push_back(reader.number(0, 1) != 0);
  step.stemConv = make_stem_conv(s, pool, relu, weights.data(), std::move(bias), std::move(scale), std::move(shift), std::move(least));
}

ChainStep read_step(Reader& reader, int values) {
  ChainStep step;
  step.kind = static_cast<ChainStep::Kind>(reader.number(ChainStep::kConv, ChainStep::kStemConv));
  step.input = static_cast<int>(reader.number(0, values - 1));
  step.output = values;
  if (step.kind == ChainStep::kConv) {
    read_conv(reader, values, step);
    return step;
  }
  step.shape = dense_shape(1, 1);
  if (step.kind == ChainStep::kFloatConv) {
    read_float_conv(reader, step);
    return step;
  }
  if (step.kind == ChainStep::kInt8Conv) {
    read_int8_conv(reader, step);
    return step;
  }
  if (step.kind == ChainStep::kStemConv) {
    read_stem_conv(reader, step);
    return step;
  }
  reader.numbers(step.shape.strides, 1, kMaxAttribute);
  if (step.kind == ChainStep::kMaxPool) {
    reader.numbers(step.shape.kernel, 1, kMaxAttribute);
    reader.numbers(step.shape.pads, 0, kMaxAttribute);
    return step;
  }
  step.before = reader.number(0, kMaxAttribute);
  step.after = reader.number(0, kMaxAttribute);
  std::memcpy(&step.fill, reader.take(4), 4);
  return step;
}

}  // namespace

ChainProgram read_chain(const uint8_t* bytes, size_t size) {
  Reader reader(bytes, size);
  if (reader.number(INT32_MIN, INT32_MAX) != kVersion) {
    throw std::runtime_error("the chain's program is of another version than this library");
  }
  ChainProgram program;
  program.inputs = static_cast<int>(reader.number(1, kMaxAttribute));
  program.values = program.inputs;
  const int64_t steps = reader.number(1, kMaxAttribute);
  for (int64_t i = 0; i < steps; i++) program.steps.push_back(read_step(reader, program.values++));
  const int64_t outputs = reader.number(1, kMaxAttribute);
  for (int64_t i = 0; i < outputs; i++) program.outputs.push_back(static_cast<int>(reader.number(program.inputs, program.values - 1)));
  if (!reader.is_at_end()) throw std::runtime_error("the chain's program goes on after its end");
  route_chain(program);
  return program;
}

}  // namespace bnn
