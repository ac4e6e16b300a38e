// The first layers of a network in 8-bit integers, of one image: a convolution and a maximum, both of stride 2, and back to floats.
//
//     q(c, …) = round(x / dataScale) + dataZero                                             within 0 … 255
//     s(o, p) = Σ (q − dataZero) · w(o, c, tap) + bias(o)                                    exact; the padding adds nothing
//     r(o, p) = round(s · multiplier(o)) + resultZero                                       within 0 … 255
//     z(o, j) = (max of r over the window − stepZero(o)) · stepScale(o)
//     y(o, j) = z · scale(o) + shift(o)                                                     where there is a scale
//
// Divisions, products and sums of floats are rounded one by one, to integers half to even, as onnxruntime's QuantizeLinear, QLinearConv, MaxPool,
// DequantizeLinear and BatchNormalization do, so results are the same to the bit. The largest r is that of the largest s, since no
// multiplier is negative: the maximum is taken first.
//
// Both strides together move four bytes of a plane of q: neighbours of even (or of odd) columns see 4-byte words that are neighbours, and a vector
// of them is one load. Four taps of a row are a word; what is left over of the rows shares words, which are put together once for all outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/binary_conv/conv_shape.h"
#include "memory/aligned_array.h"
#include "threading/parallel.h"

namespace bnn {

struct Int8ConvParameters {
  float dataScale = 1.0f;
  int32_t dataZero = 0;
  std::vector<float> multiplier;
  std::vector<int32_t> bias;
  int32_t resultZero = 0;
  std::vector<float> stepScale;
  std::vector<int32_t> stepZero;
  std::vector<float> scale, shift;  // or both empty
};

// A part of a word that rows share: the bytes of the mask from the word at `offset`.
struct SharedPart {
  int word;
  ptrdiff_t offset;
  uint32_t mask;
};

struct Int8Conv {
  BinaryConvShape shape{};         // one group
  BinaryConvShape pool{};          // a 1×1 window of stride 2 picks elements
  Int8ConvParameters parameters;   // bias: with what dataZero takes away
  AlignedArray<uint32_t> weights;  // u32[⌈outputs / 4⌉][words][4]: those of the rows, then the shared ones
};

// weights: i8[outputs][channels][kernel rows][kernel columns], −63 to 63: pairs of products fit 16 bits.
Int8Conv make_int8_conv(const BinaryConvShape& shape, const BinaryConvShape& pool, const int8_t* weights,
                        Int8ConvParameters parameters);

// One image: f32[channels][height][width] -> f32[outputs][pooled height][pooled width].
void int8_conv(const Int8Conv& conv, int64_t height, int64_t width, const float* x, float* y, const Parallel& parallel);

// count floats to bytes: round(x / scale) + zero within 0 … 255; NaN becomes 0.
struct QuantizeJob {
  const float* x;
  int64_t count;
  float scale;
  int32_t zero;
  uint8_t* q;
};

// One row of sums of four outputs: even columns, then odd ones.
struct Int8RowJob {
  const uint8_t* even;       // what even column 2·l sees first is at even + 4·l …
  const uint8_t* odd;        // … and column 2·(l − evenCount) + 1 at odd + 4·l
  int evenCount, count;      // columns
  const ptrdiff_t* offsets;  // of the words that one column sees, i64[groups]
  int64_t groups;
  const uint32_t* shared;  // u32[sharedWords][sharedPitch]
  int64_t sharedWords;
  const uint32_t* weights;  // u32[groups + sharedWords][4]
  int32_t* sums;            // i32[4][pitch]; whole vectors are written
  ptrdiff_t pitch, sharedPitch;
};

// The shared words of one row of columns, from the same bytes.
struct ShareJob {
  const uint8_t *even, *odd;
  int evenCount, count;
  const SharedPart* parts;  // by word
  int partCount;
  uint32_t* shared;  // whole vectors are written
  ptrdiff_t sharedPitch;
};

// An element that a window sees: for pooled columns begin <= j < end at sums[offset + j]. Whole vectors are read.
struct PoolTap {
  ptrdiff_t offset;
  int begin, end;
};

struct Int8PoolJob {
  const int32_t* sums;
  const PoolTap* taps;
  int tapCount;
  int count;
  int32_t bias;
  float multiplier;
  int32_t resultZero;
  int32_t stepZero;
  float stepScale;
  bool isScaled;
  float scale, shift;
  float* y;
};

struct Int8ConvRow {
  const char* name;
  void (*quantize)(const QuantizeJob& job);
  void (*share)(const ShareJob& job);
  void (*sums)(const Int8RowJob& job);
  void (*pool)(const Int8PoolJob& job);
};

}  // namespace bnn
