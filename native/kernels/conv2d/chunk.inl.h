// Register tiles of the convolution, for any vector width. See chunk.h for what is computed. Who includes this has an add_product(sum, x, b)
// for what a vector holds: floats, or pairs of bfloat16.
//
// Forward: P pixels by N vectors of channels stay in registers over the whole window; each step loads N vectors of weights and
// broadcasts P inputs for P·N multiply-adds. Filter gradient: P window elements by N vectors stay in registers over all pixels of
// the chunk. Addresses are base + {0, s, 2s, 3s} from every fourth pixel: few enough registers for the compiler to keep. Each four
// pixels have a base of their own, so a tile may take its pixels from several rows where rows are multiples of four: images of
// 4×4 would otherwise leave two thirds of the registers unused. Every loop over a tile is unrolled: an array that is indexed by a loop
// lives in memory.
#pragma once

#include "kernels/conv2d/chunk.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

constexpr int kPanelVectors = 2;

// Most pixels per tile for N vectors: accumulators, weights and one broadcast fit the register file.
constexpr int max_pixels(int n) { return kRegisters == 32 ? (n == 1 ? 16 : 12) : (n == 1 ? 8 : 6); }

// A pointer that the compiler knows nothing about. Clang would else carry the address of every pixel through the loop, more than there are
// registers.
inline __attribute__((always_inline)) const float* opaque(const float* p) {
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
  __asm__("" : "+r"(p));
#endif
  return p;
}

template <int P, int N>
inline __attribute__((always_inline)) void multiply_add(const float* const* a, int64_t offset, int64_t stride, const float* w,
                                                        int64_t count, int64_t w_stride, V (&sum)[P][N]) {
  const float* base[(P + 3) / 4];
#pragma GCC unroll 4
  for (int q = 0; q < (P + 3) / 4; q++) base[q] = a[q] + offset;
  const int64_t stride3 = 3 * stride;
#pragma GCC unroll 2
  for (int64_t k = 0; k < count; k++) {
    V b[N];
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) b[j] = load(w + j * W);
    w += w_stride;
#pragma GCC unroll 4
    for (int q = 0; q < (P + 3) / 4; q++) base[q] = opaque(base[q]);
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) {
      const int r = p % 4;
      const float* from = base[p / 4] + k;
      const V x = splat(r == 0 ? from[0] : r == 1 ? from[stride] : r == 2 ? from[2 * stride] : from[stride3]);
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) sum[p][j] = add_product(sum[p][j], x, b[j]);
    }
  }
}

template <int P, int N>
void forward_tile(const ForwardChunk& c, const float* const* windows, float* const* outs, const float* panel, int64_t columns) {
  V sum[P][N];
#pragma GCC unroll 16
  for (int p = 0; p < P; p++) {
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) sum[p][j] = zero();
  }
  for (int64_t s = 0; s < c.segment_count; s++) {
    const Segment segment = c.segments[s];
    multiply_add<P, N>(windows, segment.offset, c.pixel_stride, panel, segment.length, N * W, sum);
    panel += segment.length * (N * W);
  }
  if (columns == N * W) {
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) {
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) store(outs[p / 4] + p % 4 * c.out_stride + j * W, sum[p][j]);
    }
  } else {
    const int tail = static_cast<int>(columns - (N - 1) * W);
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) {
#pragma GCC unroll 4
      for (int j = 0; j + 1 < N; j++) store(outs[p / 4] + p % 4 * c.out_stride + j * W, sum[p][j]);
      store_n(outs[p / 4] + p % 4 * c.out_stride + (N - 1) * W, sum[p][N - 1], tail);
    }
  }
}

using ForwardTile = void (*)(const ForwardChunk&, const float* const*, float* const*, const float*, int64_t);

template <int N, int P>
constexpr ForwardTile tile_or_null() {
  if constexpr (P <= max_pixels(N)) {
    return &forward_tile<P, N>;
  } else {
    return nullptr;
  }
}

template <int N>
inline ForwardTile forward_tile_of(int pixels) {
  static constexpr ForwardTile table[17] = {nullptr,
                                            tile_or_null<N, 1>(),
                                            tile_or_null<N, 2>(),
                                            tile_or_null<N, 3>(),
                                            tile_or_null<N, 4>(),
                                            tile_or_null<N, 5>(),
                                            tile_or_null<N, 6>(),
                                            tile_or_null<N, 7>(),
                                            tile_or_null<N, 8>(),
                                            tile_or_null<N, 9>(),
                                            tile_or_null<N, 10>(),
                                            tile_or_null<N, 11>(),
                                            tile_or_null<N, 12>(),
                                            tile_or_null<N, 13>(),
                                            tile_or_null<N, 14>(),
                                            tile_or_null<N, 15>(),
                                            tile_or_null<N, 16>()};
  return table[pixels];
}

inline bool has_rows_of_fours(const ForwardChunk& c) {
  for (int64_t r = 0; r < c.row_count; r++) {
    if (c.rows[r].width % 4 != 0) return false;
  }
  return true;
}

// Tiles of fours of pixels, whichever rows they are in.
template <int N>
void forward_fours(const ForwardChunk& c, int64_t column, int64_t columns) {
  constexpr int kFours = max_pixels(N) / 4;
  const float* panel = c.panel + column * c.depth;
  const float* windows[kFours];
  float* outs[kFours];
  int held = 0;
  for (int64_t r = 0; r < c.row_count; r++) {
    const ChunkRow row = c.rows[r];
    for (int64_t i = 0; i < row.width; i += 4) {
      windows[held] = row.window + i * c.pixel_stride;
      outs[held] = row.out + column + i * c.out_stride;
      if (++held == kFours) {
        forward_tile<4 * kFours, N>(c, windows, outs, panel, columns);
        held = 0;
      }
    }
  }
  if (held > 0) forward_tile_of<N>(4 * held)(c, windows, outs, panel, columns);
}

template <int N>
void forward_block(const ForwardChunk& c, int64_t column, int64_t columns) {
  const float* panel = c.panel + column * c.depth;
  for (int64_t r = 0; r < c.row_count; r++) {
    const ChunkRow row = c.rows[r];
    // Tiles of nearly equal size: 30 pixels are 10 + 10 + 10, not 12 + 12 + 6.
    const int64_t tiles = (row.width + max_pixels(N) - 1) / max_pixels(N);
    int64_t done = 0;
    for (int64_t t = 0; t < tiles; t++) {
      const int64_t end = row.width * (t + 1) / tiles;
      const float* windows[4];
      float* outs[4];
      for (int q = 0; q < 4; q++) {
        windows[q] = row.window + (done + 4 * q) * c.pixel_stride;
        outs[q] = row.out + column + (done + 4 * q) * c.out_stride;
      }
      forward_tile_of<N>(static_cast<int>(end - done))(c, windows, outs, panel, columns);
      done = end;
    }
  }
}

template <int N>
inline void forward_columns(const ForwardChunk& c, bool in_fours, int64_t column, int64_t columns) {
  if (max_pixels(N) % 4 == 0 && in_fours) {
    forward_fours<N>(c, column, columns);
  } else {
    forward_block<N>(c, column, columns);
  }
}

void forward(const ForwardChunk& c) {
  const bool in_fours = has_rows_of_fours(c);
  for (int64_t column = 0; column < c.channels; column += kPanelVectors * W) {
    const int64_t left = c.channels - column;
    if (left > W) {
      forward_columns<2>(c, in_fours, column, left < 2 * W ? left : 2 * W);
    } else {
      forward_columns<1>(c, in_fours, column, left);
    }
  }
}

// `dy`: the columns of all pixels of the chunk in order, dy_stride apart.
template <int P, int N>
void filter_grad_tile(const FilterGradChunk& c, int64_t offset, int64_t column, float* sums, const float* dy, int64_t dy_stride) {
  V sum[P][N];
#pragma GCC unroll 16
  for (int p = 0; p < P; p++) {
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) sum[p][j] = zero();
  }
  for (int64_t r = 0; r < c.row_count; r++) {
    const float* a = c.rows[r].window + offset;
    const float* d = dy != nullptr ? dy : c.rows[r].out + column;
    const int64_t width = c.rows[r].width;
#pragma GCC unroll 2
    for (int64_t i = 0; i < width; i++) {
      V b[N];
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) b[j] = load(d + j * W);
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) {
        const V x = splat(a[p]);
#pragma GCC unroll 4
        for (int j = 0; j < N; j++) sum[p][j] = add_product(sum[p][j], x, b[j]);
      }
      a += c.pixel_stride;
      d += dy_stride;
    }
    if (dy != nullptr) dy = d;
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; p++) {
    float* to = sums + p * c.columns + column;
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) store(to + j * W, load(to + j * W) + sum[p][j]);
  }
}

using FilterGradTile = void (*)(const FilterGradChunk&, int64_t, int64_t, float*, const float*, int64_t);

template <int N, int P>
constexpr FilterGradTile grad_tile_or_null() {
  if constexpr (P <= max_pixels(N)) {
    return &filter_grad_tile<P, N>;
  } else {
    return nullptr;
  }
}

template <int N>
inline FilterGradTile grad_tile_of(int elements) {
  static constexpr FilterGradTile table[17] = {nullptr,
                                               grad_tile_or_null<N, 1>(),
                                               grad_tile_or_null<N, 2>(),
                                               grad_tile_or_null<N, 3>(),
                                               grad_tile_or_null<N, 4>(),
                                               grad_tile_or_null<N, 5>(),
                                               grad_tile_or_null<N, 6>(),
                                               grad_tile_or_null<N, 7>(),
                                               grad_tile_or_null<N, 8>(),
                                               grad_tile_or_null<N, 9>(),
                                               grad_tile_or_null<N, 10>(),
                                               grad_tile_or_null<N, 11>(),
                                               grad_tile_or_null<N, 12>(),
                                               grad_tile_or_null<N, 13>(),
                                               grad_tile_or_null<N, 14>(),
                                               grad_tile_or_null<N, 15>(),
                                               grad_tile_or_null<N, 16>()};
  return table[elements];
}

// Columns that lie a power of two apart share few lines of a first-level cache, so they are copied together once for all tiles.
template <int N>
const float* pack_dy(const FilterGradChunk& c, int64_t column) {
  if (c.dy_stride == N * W) return nullptr;
  float* to = c.packed;
  for (int64_t r = 0; r < c.row_count; r++) {
    const float* from = c.rows[r].out + column;
    for (int64_t i = 0; i < c.rows[r].width; i++) {
      for (int j = 0; j < N; j++) store(to + j * W, load(from + j * W));
      from += c.dy_stride;
      to += N * W;
    }
  }
  return c.packed;
}

template <int N>
void filter_grad_columns(const FilterGradChunk& c, int64_t column) {
  const float* packed = pack_dy<N>(c, column);
  const int64_t dy_stride = packed != nullptr ? N * W : c.dy_stride;
  float* sums = c.sums;
  for (int64_t s = 0; s < c.segment_count; s++) {
    const Segment segment = c.segments[s];
    const int64_t tiles = (segment.length + max_pixels(N) - 1) / max_pixels(N);
    int64_t done = 0;
    for (int64_t t = 0; t < tiles; t++) {
      const int64_t end = segment.length * (t + 1) / tiles;
      grad_tile_of<N>(static_cast<int>(end - done))(c, segment.offset + done, column, sums, packed, dy_stride);
      sums += (end - done) * c.columns;
      done = end;
    }
  }
}

void filter_grad(const FilterGradChunk& c) {
  int64_t column = 0;
  for (; column + 2 * W <= c.columns; column += 2 * W) filter_grad_columns<2>(c, column);
  for (; column < c.columns; column += W) filter_grad_columns<1>(c, column);
}

}  // namespace
}  // namespace BNN_ISA
}  // namespace bnn
