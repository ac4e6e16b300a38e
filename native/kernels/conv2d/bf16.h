// Products of bfloat16, summed in float32: an instruction multiplies pairs, twice as many numbers as it does of floats.
//
// Two bfloat16 take the place of a float, so that everything of chunk.h serves: where a sum runs over channels, pairs are neighbouring channels of
// a pixel, and where it runs over pixels, the same channel of two pixels. Numbers are rounded to the nearest, ties to even; what is
// below 2^-126 becomes 0. Processors without the instruction multiply floats that were rounded: the same products.
#pragma once

#include "kernels/conv2d/chunk.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/windows.h"
#include "kernels/peak/peak.h"

#include <cstdint>

namespace bnn {

struct Bf16Row {
  // Of its products, which are not the faster ones everywhere: Zen 4 has twice as many flop/s of them as of floats, Emerald Rapids half as many.
  PeakRow peak;
  ConvRow products;
  // out[i] = (a[i], b[i]).
  void (*pair)(const float* a, const float* b, int64_t count, float* out);
  // out[i] = (x[2i], x[2i + 1]).
  void (*join)(const float* x, int64_t count, float* out);
  // As in WinogradRow; spectra hold pairs of channels, an even number of them.
  void (*input)(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride);
  // Spectra hold pairs of tiles; where `tiles` is odd, 0 beside the last.
  void (*input_pairs)(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride);
  void (*output_grad_pairs)(const float* dy, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane,
                            int64_t stride);
};

// Null where the instruction set in use has none.
const Bf16Row* bf16_row();

// Whether it multiplies faster than the float row of the active instruction set, by a measurement: what `auto` takes.
bool is_bf16_faster();

// How a convolution of so many channels is multiplied: `is_sum_over_channels`, or over pixels.
Form form_of(Precision precision, int64_t channels, bool is_sum_over_channels);

// Rounds in place, on the calling thread.
void round_to_bf16(float* x, int64_t count);

// Pairs of the rows of a panel (chunk.h) of `depth` rows, an even number; in thread 0's Slot::kPairs, on all threads.
const float* pair_panels(const float* panels, int64_t count, int64_t depth, int64_t columns, const ConvRow& row);

}  // namespace bnn
