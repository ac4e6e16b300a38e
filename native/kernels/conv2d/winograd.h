// Convolutions of 3×3 neighbours and their gradients by Winograd's filtering (simd/winograd.h): transforms around 16 matrix products, which
// run on the register tiles of chunk.h.
#pragma once

#include "kernels/conv2d/panel.h"

namespace bnn {

// What is done with finished output rows while they are in a cache, on the thread that computed them. `reads` (or null), laid out like the
// output, is what `call` reads beside the rows.
struct RowsDone {
  void (*call)(const void* context, const ChunkRow* rows, int64_t count);
  const void* context;
  const float* reads;
};

// Calls body(rows, count); refers to it.
template <typename Body>
RowsDone rows_done(const Body& body, const float* reads) {
  return {[](const void* context, const ChunkRow* rows, int64_t count) { (*static_cast<const Body*>(context))(rows, count); }, &body,
          reads};
}

// Whether a convolution by `w` (prepared, without groups) is one of 3×3 neighbours with enough channels to pay for the transforms.
bool suits_winograd(const Windows& w, int64_t columns);

// As ForwardChunk says, for all of `w`.
void winograd_forward(const Windows& w, const float* x, const FilterView& filter, int64_t columns, const OutputGrid& out,
                      int64_t out_pixel_stride, const RowsDone& done);

// dfilter[tap][channel][output]; dy is dense.
void winograd_filter_grad(const Windows& w, const float* x, const float* dy, int64_t outputs, float* dfilter);

// The transforms of one instruction set. A spectrum has 16 planes, `plane` floats apart.
struct WinogradRow {
  // Bᵀ d B of `tiles` neighbouring tiles, channels together, `stride` floats from tile to tile of a plane; d is read at pixels
  // `channels` floats apart, rows `pitch` floats apart.
  void (*input)(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride);
  // A dy Aᵀ in the same way; channels beyond `channels` up to `stride` (whole vectors) become 0.
  void (*output_grad)(const float* dy, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride);
  // Aᵀ m A to `height` (1 or 2) rows of `width` pixels, `channels` of `pixel_stride` floats each.
  void (*output)(const float* spectrum, int64_t plane, int64_t channels, float* y, int64_t row_stride, int64_t pixel_stride,
                 int64_t height, int64_t width);
  // G g Gᵀ of `count` (whole vectors) neighbouring filters: nine taps, `count` floats apart.
  void (*filter)(const float* taps, int64_t count, float* spectrum, int64_t plane);
  // Gᵀ m G of `count` neighbouring filters to nine taps, `tap_stride` floats apart.
  void (*filter_grad)(const float* spectrum, int64_t plane, int64_t count, float* taps, int64_t tap_stride);
};

BNN_DECLARE_ROWS(WinogradRow, winograd_row);

}  // namespace bnn
