#include <algorithm>

#include "kernels/chain/chain.h"
#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "threading/claim.h"

namespace bnn {
namespace {

// From this many images on each thread takes whole ones; fewer as well where an image is too little work for several threads.
constexpr int64_t kManyImages = 8;
constexpr int64_t kSmallImage = 64 * kWorkOfThread;

class Image {
 public:
  Image(const ChainProgram& program, const ChainPlan& plan, const float* const* inputs, float* const* outputs, char* memory)
      : program_(program), plan_(plan), inputs_(inputs), outputs_(outputs), memory_(memory) {}

  void run(int64_t image, const Parallel& parallel) {
    image_ = image;
    for (size_t i = 0; i < program_.steps.size(); i++) {
      const ChainStep& step = program_.steps[i];
      switch (step.kind) {
        case ChainStep::kConv: conv(step, plan_.convs[i], plan_.most[i], parallel); break;
        case ChainStep::kSelect: select(step); break;
        case ChainStep::kMaxPool: max_pool(step); break;
        case ChainStep::kFloatConv: {
          const ChainValue& x = value(step.input);
          float_conv(step.floatConv, x.height, x.width, read(step.input), write(step.output), parallel);
          break;
        }
        case ChainStep::kInt8Conv: {
          const ChainValue& x = value(step.input);
          int8_conv(step.int8Conv, x.height, x.width, read(step.input), write(step.output), parallel);
          break;
        }
        case ChainStep::kStemConv: {
          const ChainValue& x = value(step.input);
          stem_conv(step.stemConv, x.height, x.width, read(step.input), write(step.output), parallel);
          break;
        }
      }
    }
  }

 private:
  const ChainValue& value(int index) const { return plan_.values[static_cast<size_t>(index)]; }
  const float* read(int index) const {
    const ChainValue& v = value(index);
    if (v.input >= 0) return inputs_[v.input] + image_ * v.elements();
    return write(index);
  }
  float* write(int index) const {
    const ChainValue& v = value(index);
    if (v.output >= 0) return outputs_[v.output] + image_ * v.elements();
    return reinterpret_cast<float*>(memory_ + v.floatsAt);
  }
  uint32_t* bits(int index) const { return reinterpret_cast<uint32_t*>(memory_ + value(index).bitsAt); }

  void conv(const ChainStep& step, const BinaryConvPlan& plan, const AlignedArray<int32_t>& most, const Parallel& parallel) {
    const auto given = [](const std::vector<float>& vector) { return vector.empty() ? nullptr : vector.data(); };
    const ChainValue& x = value(step.input);
    Epilogue epilogue{};
    epilogue.scale = given(step.scale);
    epilogue.bias = given(step.bias);
    epilogue.relu = step.relu;
    epilogue.residual = step.residual >= 0 ? read(step.residual) : nullptr;
    epilogue.slope = given(step.slope);
    epilogue.offset = given(step.offset);
    epilogue.threshold = given(step.threshold);
    BinaryConvCall call{1, x.height, x.width, nullptr, given(step.xThreshold), epilogue, nullptr};
    if (step.fromBits) {
      call.xBits = bits(step.input);
    } else {
      call.x = read(step.input);
    }
    if (step.toFloats) call.y = write(step.output);
    if (step.toBits) call.yBits = bits(step.output);
    call.yLeast = given(step.yLeast);
    call.yMost = most.data();
    binary_conv(step.shape, step.weights, plan, call, parallel);
  }

  static void copy_every(int64_t stride, const float* from, int64_t count, float* to) {
    if (stride == 1) {
      std::copy_n(from, count, to);
    } else if (stride == 2) {
      // A constant, so that it becomes a loop over vectors.
      for (int64_t i = 0; i < count; i++) to[i] = from[2 * i];
    } else {
      for (int64_t i = 0; i < count; i++) to[i] = from[i * stride];
    }
  }

  void select(const ChainStep& step) {
    const ChainValue &x = value(step.input), &y = value(step.output);
    const float* from = read(step.input);
    float* to = std::fill_n(write(step.output), step.before * y.pixels(), step.fill);
    for (int64_t c = 0; c < x.channels; c++, from += x.pixels()) {
      for (int64_t i = 0; i < y.height; i++, to += y.width) {
        copy_every(step.shape.strides[1], from + i * step.shape.strides[0] * x.width, y.width, to);
      }
    }
    std::fill_n(to, step.after * y.pixels(), step.fill);
  }

  // The largest of signs is +1 where any is.
  void max_pool(const ChainStep& step) {
    const ChainValue &x = value(step.input), &y = value(step.output);
    const BinaryConvShape& s = step.shape;
    const uint32_t* from = bits(step.input);
    uint32_t* to = bits(step.output);
    for (int64_t plane = 0; plane < ceil_div(x.channels, int64_t{32}); plane++, from += x.pixels()) {
      for (int64_t i = 0; i < y.height; i++) {
        const int64_t top = i * s.strides[0] - s.pads[0], left0 = -s.pads[1];
        const int64_t rowBegin = std::max<int64_t>(top, 0), rowEnd = std::min(top + s.kernel[0], x.height);
        for (int64_t j = 0; j < y.width; j++) {
          const int64_t left = left0 + j * s.strides[1];
          const int64_t begin = std::max<int64_t>(left, 0), end = std::min(left + s.kernel[1], x.width);
          uint32_t any = 0;
          for (int64_t r = rowBegin; r < rowEnd; r++) {
            for (int64_t t = begin; t < end; t++) any |= from[r * x.width + t];
          }
          *to++ = any;
        }
      }
    }
  }

  const ChainProgram& program_;
  const ChainPlan& plan_;
  const float* const* inputs_;
  float* const* outputs_;
  char* memory_;
  int64_t image_ = 0;
};

}  // namespace

void run_chain(const ChainProgram& program, const ChainPlan& plan, int64_t batch, const float* const* inputs, float* const* outputs,
               const Parallel& parallel) {
  if (batch >= kManyImages || (batch > 1 && plan.imageWork < kSmallImage)) {
    claim_all(parallel, batch, batch * plan.imageWork, [&](const auto& claim) {
      Scratch memory(plan.imageBytes);
      Image image(program, plan, inputs, outputs, memory.as<char>());
      for (int64_t i = claim(); i >= 0; i = claim()) image.run(i, serial());
    });
    return;
  }
  Scratch memory(plan.imageBytes);
  Image image(program, plan, inputs, outputs, memory.as<char>());
  for (int64_t i = 0; i < batch; i++) image.run(i, parallel);
}

}  // namespace bnn
