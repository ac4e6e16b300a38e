// The unit of work that one instruction-set row computes: a chunk of output rows whose input windows are readable without any
// bounds check, because borders were copied with their padding into scratch memory.
//
// A window is a list of segments, contiguous runs of floats relative to the window's first element: the taps of a kernel row
// that are neighbours in memory form one segment of kernel_width · channels floats. So one inner loop serves every kernel size,
// and a 1×1 convolution or a matrix product is the case of one segment.
#pragma once

#include "simd/isa.h"

#include <cstdint>

namespace bnn {

struct Segment {
  int64_t offset;  // from the window's first float
  int64_t length;  // floats
};

// One row of output pixels.
struct ChunkRow {
  const float* window;  // window of pixel 0; pixel i is pixel_stride floats further
  float* out;           // forward: output pixel 0 (out_stride apart); filter gradient: dy pixel 0, only read
  int64_t width;        // pixels
};

// out[pixel][0 .. channels) = Σ_k window[pixel][k] · panel[k][..], k over all segments in order.
// Panels: column blocks of panel_columns(channels) columns (the last one narrower, rounded up to whole vectors, zero-filled);
// the block that starts at column c begins at panel + c · depth and is [depth][block columns].
struct ForwardChunk {
  const ChunkRow* rows;
  int64_t row_count;
  int64_t pixel_stride, out_stride;
  const Segment* segments;
  int64_t segment_count;
  int64_t depth;  // Σ segment lengths
  const float* panel;
  int64_t channels;
};

// sums[k][0 .. columns) += Σ_pixels window[pixel][k] · dy[pixel][..]; columns is a multiple of `vector`.
struct FilterGradChunk {
  const ChunkRow* rows;
  int64_t row_count;
  int64_t pixel_stride, dy_stride;
  const Segment* segments;
  int64_t segment_count;
  float* sums;
  int64_t columns;
  float* packed;  // room for the pixels of the chunk, 2 · vector floats each
};

struct ConvRow {
  int vector;         // floats per vector
  int panel_vectors;  // widest column block, in vectors
  void (*forward)(const ForwardChunk& chunk);
  void (*filter_grad)(const FilterGradChunk& chunk);
};

BNN_DECLARE_ROWS(ConvRow, conv_row);
const ConvRow& conv_row();

}  // namespace bnn
