// Planes of results to pixels of channels: squares of one vector's width, transposed in registers.
//
// The including file defines BNN_ISA and BNN_VECTOR_FLOATS, see simd/vec.h.
#pragma once

#include "kernels/binary_conv/tile.h"
#include "simd/vec.h"

// The lower or upper halves of two vectors, element by element in turn.
#if BNN_VECTOR_FLOATS == 16
#define BNN_LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define BNN_UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif BNN_VECTOR_FLOATS == 8
#define BNN_LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define BNN_UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define BNN_LOWER 0, 4, 1, 5
#define BNN_UPPER 2, 6, 3, 7
#endif
#if defined(__clang__)
#define BNN_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define BNN_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, M{__VA_ARGS__})
#endif

namespace bnn {
namespace BNN_ISA {

// Each round deals two halves of the rows into one another; after log2 W rounds rows are columns.
static inline __attribute__((always_inline)) void transpose(V (&rows)[W]) {
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    V dealt[W];
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; i++) {
      dealt[2 * i] = BNN_SHUFFLE(rows[i], rows[i + W / 2], BNN_LOWER);
      dealt[2 * i + 1] = BNN_SHUFFLE(rows[i], rows[i + W / 2], BNN_UPPER);
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) rows[i] = dealt[i];
  }
}

static void store_pixels(const StoreJob& job) {
  for (int output = 0; output < job.outputs; output += W) {
    const int used = job.outputs - output < W ? job.outputs - output : W;
    for (int pixel = 0; pixel < job.pixels; pixel += W) {
      V rows[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) rows[i] = load(job.tile + (output + i) * kTilePixels + pixel);
      transpose(rows);
      float* y = job.y + pixel * job.pixelStride + output;
      if (used == W && pixel + W <= job.pixels) {
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) store(y + i * job.pixelStride, rows[i]);
      } else {
        for (int i = 0; i < W && pixel + i < job.pixels; i++) store_n(y + i * job.pixelStride, rows[i], used);
      }
    }
  }
}

}  // namespace BNN_ISA
}  // namespace bnn
