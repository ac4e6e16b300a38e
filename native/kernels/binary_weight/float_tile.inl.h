// Tiles of floats for the instruction set of the including file (see simd/vec.h).
#pragma once

#include "kernels/binary_weight/binary_weight.h"
#include "simd/vec.h"

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 16")

namespace bnn {
namespace BNN_ISA {

// kVectors vectors of columns × 4 outputs.
template <int kVectors>
static inline void multiply_vectors(const float* a, const float* b, int64_t count, bool add, float* sums) {
  V sum[kVectors][kTileOutputs];
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) {
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) sum[v][q] = add ? load(sums + q * kTilePixels + v * W) : zero();
  }
  for (int64_t i = 0; i < count; i++, a += kTilePixels, b += kTileOutputs) {
    V x[kVectors];
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) x[v] = load(a + v * W);
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) {
      const V w = splat(b[q]);
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) sum[v][q] = x[v] * w + sum[v][q];
    }
  }
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) {
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) store(sums + q * kTilePixels + v * W, sum[v][q]);
  }
}

static void multiply(const float* a, const float* b, int64_t count, int width, bool add, float* sums) {
  constexpr int kMost = kRegisters >= 32 ? 4 : 2;
  int done = 0;
  for (; done + kMost * W <= width; done += kMost * W) multiply_vectors<kMost>(a + done, b, count, add, sums + done);
  if constexpr (kMost == 4) {
    if (done + 2 * W <= width) {
      multiply_vectors<2>(a + done, b, count, add, sums + done);
      done += 2 * W;
    }
  }
  for (; done < width; done += W) multiply_vectors<1>(a + done, b, count, add, sums + done);
}

static void copy_runs(const float* source, ptrdiff_t planeStride, int64_t planes, const PanelRun* runs, int runCount,
                      float* target) {
  for (int64_t c = 0; c < planes; c++, source += planeStride, target += kTilePixels) {
    for (int i = 0; i < runCount; i++) {
      const float* from = source + runs[i].source;
      float* to = target + runs[i].pixel;
      const int count = runs[i].count;
      int k = 0;
      for (; k + W <= count; k += W) store(to + k, load(from + k));
      if (k < count) store_n(to + k, load_n(from + k, count - k), count - k);
    }
  }
}

static void finish(const float* sums, int count, bool relu, float scale, float bias, const float* residual, float* y) {
  const V s = splat(scale), b = splat(bias);
  for (int p = 0; p < count; p += W) {
    const int left = count - p < W ? count - p : W;
    V sum = left == W ? load(sums + p) : load_n(sums + p, left);
    if (relu) sum = bnn::BNN_ISA::relu(sum);
    V value = s * sum + b;
    if (residual != nullptr) value = value + (left == W ? load(residual + p) : load_n(residual + p, left));
    if (left == W) {
      store(y + p, value);
    } else {
      store_n(y + p, value, left);
    }
  }
}

}  // namespace BNN_ISA
}  // namespace bnn
