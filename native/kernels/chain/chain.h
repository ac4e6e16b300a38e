// Binary layers behind one another as one: each image goes through all of them while it is in the cache, and where a layer's result is
// only binarized, its bits are all that is written. The arithmetic is that of the layers one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/binary_conv/binary_conv.h"
#include "kernels/float_conv/float_conv.h"
#include "kernels/int8_conv/int8_conv.h"
#include "kernels/stem_conv/stem_conv.h"
#include "threading/parallel.h"

namespace bnn {

// Values are numbered: the inputs, then the results of the steps.
struct ChainStep {
  // kConv: a binary convolution. kSelect: y[c + before] = x[c] at every strides-th row and column, `fill` in the channels around them.
  // kMaxPool: of signs. kFloatConv: a convolution of a few float channels. kInt8Conv and kStemConv: likewise, with its pooling.
  enum Kind { kConv, kSelect, kMaxPool, kFloatConv, kInt8Conv, kStemConv };

  Kind kind = kConv;
  int input = 0;
  int output = 0;
  int residual = -1;

  BinaryConvShape shape{};  // kMaxPool: kernel, strides and pads; kSelect: strides; kFloatConv, kInt8Conv and kStemConv: as conv
  bool relu = false;
  BinaryWeights weights;
  // By pad_outputs, empty where there are none.
  std::vector<float> scale, bias, slope, offset, threshold;
  std::vector<float> xThreshold;  // f32[groups · channels], or empty

  int64_t before = 0, after = 0;
  float fill = 0.0f;

  FloatConv floatConv;
  Int8Conv int8Conv;
  StemConv stemConv;

  // What follows from all steps together: whether the input comes as bits, what becomes of the result, and the least of each output that
  // counts as +1 there, by pad_outputs, or empty for zeros.
  bool fromBits = false;
  bool toFloats = false, toBits = false;
  std::vector<float> yLeast;
};

struct ChainProgram {
  int inputs = 0;
  int values = 0;
  std::vector<int> outputs;
  std::vector<ChainStep> steps;
};

// Reads what src/inference/chain-program.ts writes. Throws std::runtime_error for anything else.
ChainProgram read_chain(const uint8_t* bytes, size_t size);

// Decides in which form each value is handed on. Throws std::runtime_error where a step would need a form that its input does not have.
void route_chain(ChainProgram& program);

struct ChainValue {
  int64_t channels, height, width;
  int input = -1, output = -1;  // which one of the chain it is, if any
  // In the memory of an image, in bytes.
  size_t floatsAt = 0, bitsAt = 0;

  int64_t pixels() const { return height * width; }
  int64_t elements() const { return channels * pixels(); }
};

// What depends on the size of the images. Immutable once made.
struct ChainPlan {
  std::vector<ChainValue> values;
  std::vector<BinaryConvPlan> convs;        // of each step; empty for others
  std::vector<AlignedArray<int32_t>> most;  // by most_counts, of each step that gives signs alone
  size_t imageBytes = 0;
  int64_t imageWork = 0;  // as for claim_all
};

// inputs: channels, height and width of each. Throws std::runtime_error when they do not fit.
ChainPlan plan_chain(const ChainProgram& program, const std::vector<ChainValue>& inputs);

// inputs, outputs: f32[batch][channels][height][width] each.
void run_chain(const ChainProgram& program, const ChainPlan& plan, int64_t batch, const float* const* inputs, float* const* outputs,
               const Parallel& parallel);

}  // namespace bnn
