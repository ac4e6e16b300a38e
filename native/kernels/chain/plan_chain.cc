#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/chain/chain.h"
#include "kernels/rounding.h"

namespace bnn {
namespace {

constexpr size_t kLine = 64;
constexpr int64_t kMaxElements = int64_t{1} << 31;

// The step that makes a value, or null for an input.
ChainStep* producer(ChainProgram& program, int value) {
  return value < program.inputs ? nullptr : &program.steps[static_cast<size_t>(value - program.inputs)];
}

// Whether a value can be handed on as bits for these thresholds, and if so, asks for them.
bool ask_bits(ChainProgram& program, std::vector<const std::vector<float>*>& least, int value, const std::vector<float>& threshold) {
  ChainStep* maker = producer(program, value);
  if (maker == nullptr || (maker->kind != ChainStep::kConv && maker->kind != ChainStep::kMaxPool) || maker->shape.groups != 1)
    return false;
  const std::vector<float>*& asked = least[static_cast<size_t>(value)];
  if (asked == nullptr) asked = &threshold;
  if (*asked != threshold) return false;
  maker->toBits = true;
  return true;
}

// Blocks of memory that are in use at the same time do not overlap.
class Blocks {
 public:
  // The lowest place that is free from step `begin` on; it is so again after step `last`.
  size_t place(size_t bytes, int begin, int last) {
    size_t at = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (const Block& block : blocks_) {
        if (block.last < begin || block.at + block.bytes <= at || at + bytes <= block.at) continue;
        at = block.at + block.bytes;
        moved = true;
      }
    }
    blocks_.push_back({at, bytes, last});
    end_ = std::max(end_, at + bytes);
    return at;
  }
  // A block that was free after step `begin` is not before `last`: what is there then is written in its place.
  void keep(size_t at, int begin, int last) {
    for (Block& block : blocks_) {
      if (block.at == at && block.last == begin) block.last = last;
    }
  }
  size_t end() const { return end_; }

 private:
  struct Block {
    size_t at, bytes;
    int last;
  };
  std::vector<Block> blocks_;
  size_t end_ = 0;
};

ChainValue result_of(const ChainStep& step, const ChainValue& x) {
  ChainValue y = x;
  const BinaryConvShape& s = step.shape;
  const bool isConv = step.kind != ChainStep::kSelect && step.kind != ChainStep::kMaxPool;
  if (isConv && s.channels * s.groups != x.channels) {
    throw std::runtime_error("data of " + std::to_string(x.channels) + " channels, expected " + std::to_string(s.channels * s.groups));
  }
  y.channels = isConv ? s.outputs : step.before + x.channels + step.after;
  y.height = s.out_size(0, x.height);
  y.width = s.out_size(1, x.width);
  if (step.kind == ChainStep::kInt8Conv || step.kind == ChainStep::kStemConv) {
    const BinaryConvShape& pool = step.kind == ChainStep::kInt8Conv ? step.int8Conv.pool : step.stemConv.pool;
    y.height = pool.out_size(0, y.height);
    y.width = pool.out_size(1, y.width);
  }
  y.input = y.output = -1;
  if (x.elements() < 1 || y.height < 1 || y.width < 1) {
    throw std::runtime_error("a kernel of " + std::to_string(s.kernel[0]) + "×" + std::to_string(s.kernel[1]) + " does not fit " +
                             std::to_string(x.height) + "×" + std::to_string(x.width) + " elements");
  }
  if (y.pixels() > kMaxElements / y.channels) throw std::runtime_error("an image of more than 2^31 elements");
  return y;
}

size_t lines(int64_t bytes) { return static_cast<size_t>(ceil_div(bytes, int64_t{kLine}) + 1) * kLine; }

// The step after which a value is not read any more.
std::vector<int> last_uses(const ChainProgram& program) {
  std::vector<int> last(static_cast<size_t>(program.values), -1);
  for (size_t i = 0; i < program.steps.size(); i++) {
    const ChainStep& step = program.steps[i];
    last[static_cast<size_t>(step.input)] = static_cast<int>(i);
    if (step.residual >= 0) last[static_cast<size_t>(step.residual)] = static_cast<int>(i);
    last[static_cast<size_t>(step.output)] = static_cast<int>(i);
  }
  return last;
}

}  // namespace

void route_chain(ChainProgram& program) {
  // Thresholds that the bits of a value are made for.
  std::vector<const std::vector<float>*> least(static_cast<size_t>(program.values), nullptr);
  static const std::vector<float> zeros;
  for (ChainStep& step : program.steps) {
    if (step.kind != ChainStep::kMaxPool) continue;
    const ChainStep* maker = producer(program, step.input);
    const bool isSign = maker != nullptr && (maker->kind == ChainStep::kMaxPool || !maker->threshold.empty());
    if (!isSign || !ask_bits(program, least, step.input, zeros))
      throw std::runtime_error("a pooling in the chain of what are no signs");
    step.fromBits = step.toBits = true;
  }
  const auto need_floats = [&](int value) {
    ChainStep* maker = producer(program, value);
    if (maker == nullptr) return;
    if (maker->kind == ChainStep::kMaxPool) throw std::runtime_error("a pooling in the chain gives bits only");
    maker->toFloats = true;
  };
  for (ChainStep& step : program.steps) {
    if (step.kind == ChainStep::kConv && step.shape.groups == 1) step.fromBits = ask_bits(program, least, step.input, step.xThreshold);
    if (!step.fromBits) need_floats(step.input);
    if (step.residual < 0) continue;
    need_floats(step.residual);
    // Kernels add to floats only.
    step.toFloats = true;
  }
  for (const int output : program.outputs) need_floats(output);
  for (ChainStep& step : program.steps) {
    // What nobody reads.
    if (!step.toBits) step.toFloats = true;
    const std::vector<float>* threshold = least[static_cast<size_t>(step.output)];
    if (step.kind != ChainStep::kConv || threshold == nullptr || threshold->empty()) continue;
    if (threshold->size() != static_cast<size_t>(step.shape.outputs))
      throw std::runtime_error("thresholds for another number of channels");
    step.yLeast.resize(static_cast<size_t>(step.weights.groupOutputs));
    pad_outputs(step.shape, step.weights, threshold->data(), step.yLeast.data());
  }
}

ChainPlan plan_chain(const ChainProgram& program, const std::vector<ChainValue>& inputs) {
  ChainPlan plan;
  plan.values = inputs;
  for (size_t i = 0; i < inputs.size(); i++) plan.values[i].input = static_cast<int>(i);
  const std::vector<int> last = last_uses(program);
  Blocks blocks;
  for (size_t i = 0; i < program.steps.size(); i++) {
    const ChainStep& step = program.steps[i];
    const ChainValue x = plan.values[static_cast<size_t>(step.input)];
    ChainValue y = result_of(step, x);
    for (size_t o = 0; o < program.outputs.size(); o++) {
      if (program.outputs[o] == step.output) y.output = static_cast<int>(o);
    }
    plan.convs.emplace_back();
    plan.most.emplace_back();
    if (step.kind == ChainStep::kConv) {
      plan.convs.back() = plan_binary_conv(step.shape, step.weights, x.height, x.width);
      const bool isSign = !step.threshold.empty() && step.toBits && !step.toFloats && step.yLeast.empty();
      if (isSign) plan.most.back() = most_counts(plan.convs.back(), step.threshold.data());
      plan.imageWork += y.pixels() * step.shape.outputs / step.shape.groups * step.weights.kWords / 16;
    }
    if (step.kind == ChainStep::kFloatConv || step.kind == ChainStep::kInt8Conv || step.kind == ChainStep::kStemConv)
      plan.imageWork += y.elements() * step.shape.bits() / 16;
    const int begin = static_cast<int>(i), end = last[static_cast<size_t>(step.output)];
    const ChainValue* residual = step.residual >= 0 ? &plan.values[static_cast<size_t>(step.residual)] : nullptr;
    if (residual != nullptr && (residual->channels != y.channels || residual->height != y.height || residual->width != y.width)) {
      throw std::runtime_error("a residual of " + std::to_string(residual->channels) + "×" + std::to_string(residual->height) + "×" +
                               std::to_string(residual->width) + " elements, expected " + std::to_string(y.channels) + "×" +
                               std::to_string(y.height) + "×" + std::to_string(y.width));
    }
    // Each sum is added to the element that it replaces. Where the data are floats too, they are read again for other outputs.
    const bool inPlace = residual != nullptr && step.fromBits && residual->input < 0 && residual->output < 0 && y.output < 0 &&
                         last[static_cast<size_t>(step.residual)] == begin;
    if (inPlace) {
      y.floatsAt = residual->floatsAt;
      blocks.keep(y.floatsAt, begin, end);
    } else if (step.toFloats && y.output < 0) {
      y.floatsAt = blocks.place(lines(y.elements() * 4), begin, end);
    }
    if (step.toBits) y.bitsAt = blocks.place(lines(ceil_div(y.channels, int64_t{32}) * y.pixels() * 4), begin, end);
    plan.values.push_back(y);
  }
  plan.imageBytes = blocks.end();
  return plan;
}

}  // namespace bnn
