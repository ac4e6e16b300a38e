// Layers of 3×3 neighbours with float data and binary weights by Winograd's filtering (simd/winograd.h). In NCHW the lanes of a vector are
// 2×2 tiles of outputs.
//
// The transformed weights 4 · G w Gᵀ are whole numbers from −9 to 9, so they are kept as bytes: 16 for nine bits, less than half of
// nine floats.
#pragma once

#include "kernels/binary_weight/binary_weight.h"

namespace bnn {

// Tiles of one row of tiles in the lanes [lane, lane + tiles): their windows begin at `source` of a padded channel, and they become `rows` (1 or 2)
// rows of `columns` outputs from `target` of an output channel on, both counted from the first image's.
struct TileRun {
  int64_t source, target;
  int lane, tiles, rows, columns;
};

// Lanes of a row of columns: 64 tiles, and room for whole vectors from any of them on.
constexpr int kLanesPitch = kTilePixels + 16;

struct WinogradTileRow {
  // Bᵀ d B of `width` tiles (a multiple of 16, at most 64) of a channel, whose rows are `rowPitch` floats apart, into 16 planes, `plane` floats apart.
  // What is beyond the tiles of the runs is read and ignored: up to 34 floats of the channel, and of `columns`, room for f32[4][4][kLanesPitch].
  void (*input)(const float* channel, int64_t rowPitch, const TileRun* runs, int runCount, int width, float* columns, float* spectrum,
                int64_t plane);
  // y = scale · e(Aᵀ m A) + bias (+ residual) of an output channel, whose rows are `rowPitch` floats apart. False when a sum is not finite.
  bool (*output)(const float* spectrum, int64_t plane, const TileRun* runs, int runCount, int64_t rowPitch, bool relu, float scale,
                 float bias, const float* residual, float* y);
  // to[i] = from[i]; fetches as much from `next` into a cache.
  void (*widen)(const int8_t* from, int64_t count, const int8_t* next, float* to);
};

// Whether it is 3×3 neighbours, and enough channels and outputs to pay for the transforms.
bool suits_winograd(const BinaryConvShape& shape);

// bits as for unpack_conv_weights; i8[16][groups][⌈outputs / 4⌉][channels][4].
AlignedArray<int8_t> winograd_weights(const BinaryConvShape& shape, const uint8_t* bits);

void winograd_conv(const BinaryConvShape& shape, const UnpackedWeights& weights, const WeightLayerCall& call,
                   const Parallel& parallel);

}  // namespace bnn
