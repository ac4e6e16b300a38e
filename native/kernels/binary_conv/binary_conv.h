// Binary convolution of float data with packed weights, and the binary dense layer, which shares its tiles.
//
//     acc(n, o, i, j) = Σ s(x) · w over the taps that lie inside the image: zero padding adds nothing
//     s(x) = x >= xThreshold(channel) ? 1 : −1,   y = epilogue(acc)
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/binary_conv/conv_shape.h"
#include "kernels/binary_conv/tile.h"
#include "memory/aligned_array.h"
#include "simd/isa.h"
#include "threading/parallel.h"

namespace bnn {

// Accumulators are floats, and so is the sum of this many bits and what makes up for the padding: up to 2^24 exactly.
constexpr int64_t kMaxBits = int64_t{1} << 23;

// Weights in the order of the tiles. Immutable once made.
struct BinaryWeights {
  int kWords = 0;
  int kStride = 0;
  int groupOutputs = 0;            // rounded up to kTileOutputs
  AlignedArray<uint32_t> words;    // u32[groups][groupOutputs / 4][kStride][4]
  AlignedArray<uint32_t> triples;  // likewise: see TileJob
  AlignedArray<int32_t> tapSums;   // i32[groups][groupOutputs][taps]: Σ_c w
};

// Room for the weights, zeroed.
BinaryWeights empty_weights(const BinaryConvShape& shape);

// Makes `triples` of `words`.
void add_triples(BinaryWeights& weights);

// bits: u8[outputs][kernel rows][kernel columns][⌈channels / 8⌉], as in the operator's input w; pad bits are ignored.
BinaryWeights pack_binary_weights(const BinaryConvShape& shape, const uint8_t* bits);

// The same from f32[kernel rows][kernel columns][channels][outputs], one group; false when an element is neither +1 nor −1.
bool pack_filter(const BinaryConvShape& shape, const float* filter, const Parallel& parallel, BinaryWeights& weights);

// f32[outputs] -> f32[groups][groupOutputs] with zeros in between.
void pad_outputs(const BinaryConvShape& shape, const BinaryWeights& weights, const float* values, float* padded);

// The part of a block of pixels that does not depend on the data.
struct BlockPlan {
  int firstRun, runCount;    // of BinaryConvPlan::runs; their sources count from the padded row rowBegin
  int64_t rowBegin, rowEnd;  // padded rows that the block sees
};

// What depends on the image size too. Immutable once made.
struct BinaryConvPlan {
  ConvLayout layout;
  int channelWords;  // planes of a group
  // Planes hold a window of the padded rows, which moves down the image with the blocks: u32[channelWords][windowRows][rowWords].
  int64_t windowRows;
  ptrdiff_t windowWords;  // of one plane
  std::vector<PanelPiece> pieces;
  std::vector<BlockPlan> blocks;  // of kTilePixels pixels
  std::vector<PanelRun> runs;
  std::vector<int32_t> pixelClass;  // of each pixel, and 0 up to a whole block
  // Kinds of positions: pixels whose kernels reach equally far into the padding.
  int classes = 0, classStride = 0;
  AlignedArray<float> base;  // f32[groups][groupOutputs][classStride]
};

BinaryConvPlan plan_binary_conv(const BinaryConvShape& shape, const BinaryWeights& weights, int64_t height, int64_t width);

// What the thresholds of an epilogue (by pad_outputs) say of the popcounts: i32[groups][groupOutputs][classStride], the most of each class
// that gives +1, below 0 where none does. Empty where there are more than kSmallClasses.
AlignedArray<int32_t> most_counts(const BinaryConvPlan& plan, const float* threshold);

// The epilogue from output `channel` and element `at` of y on.
inline Epilogue epilogue_from(const Epilogue& e, ptrdiff_t channel, ptrdiff_t at) {
  const auto moved = [](const float* p, ptrdiff_t by) { return p != nullptr ? p + by : nullptr; };
  return {moved(e.scale, channel),  moved(e.bias, channel),     e.relu, moved(e.residual, at), moved(e.slope, channel),
          moved(e.offset, channel), moved(e.threshold, channel)};
}

struct BinaryConvCall {
  int64_t batch, height, width;
  const float* x;
  const float* xThreshold;  // f32[groups · channels]; null stands for zeros
  Epilogue epilogue;        // of vectors by pad_outputs; for the reference f32[outputs]
  float* y;
  bool channelsLast = false;  // x and y are NHWC rather than NCHW; without residual and xThreshold

  // Bits from layer to layer, channels first and in one group only; word c of a pixel holds its channels 32 c … 32 c + 31.
  const uint32_t* xBits = nullptr;  // u32[batch][⌈channels / 32⌉][height][width] in place of x
  uint32_t* yBits =
      nullptr;  // u32[batch][⌈outputs / 32⌉][out height][out width]: y >= yLeast(output); y may be null then, without residual
  const float* yLeast = nullptr;   // f32, by pad_outputs; null stands for zeros
  const int32_t* yMost = nullptr;  // by most_counts; for signs alone, without y and yLeast
};

void binary_conv(const BinaryConvShape& shape, const BinaryWeights& weights, const BinaryConvPlan& plan, const BinaryConvCall& call,
                 const Parallel& parallel);

// bits: the operator's input w.
void binary_conv_reference(const BinaryConvShape& shape, const BinaryConvCall& call, const uint8_t* bits);

// The tiles in use: the best ones of the active instruction set; and those that these flags allow.
const BinaryTileRow& binary_tile_row();
const BinaryTileRow& binary_tile_row(CpuFlags flags);

}  // namespace bnn
