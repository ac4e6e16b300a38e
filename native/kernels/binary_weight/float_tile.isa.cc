// Tiles of floats for the instruction set of its compilation (see simd/vec.h).
#include "kernels/binary_weight/binary_weight.h"
#include "simd/vec.h"

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 16")

namespace bnn {
namespace BNN_ISA {

// kVectors vectors of columns × 4 outputs of each of kBlocks blocks.
template <int kVectors, int kBlocks>
static inline void multiply_tile(const float* a, int64_t pitch, const float* b, int64_t blockStride, int64_t count, bool add,
                                 float* sums) {
  constexpr int kOutputs = kBlocks * kTileOutputs;
  V sum[kOutputs][kVectors];
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) sum[q][v] = add ? load(sums + q * pitch + v * W) : zero();
  }
  for (int64_t i = 0; i < count; i++, a = pinned(a + pitch), b = pinned(b + kTileOutputs)) {
    V x[kVectors];
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) x[v] = load(a + v * W);
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      const V w = splat(b[q / kTileOutputs * blockStride + q % kTileOutputs]);
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) sum[q][v] = x[v] * w + sum[q][v];
    }
  }
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) store(sums + q * pitch + v * W, sum[q][v]);
  }
}

// As many sums as hide the latency of an addition, whichever way round.
template <int kVectors>
static inline void multiply_columns(const float* a, int64_t pitch, const FloatBlocks& b, int64_t count, bool add, float* sums) {
  constexpr int kBlocks = (kRegisters >= 32 ? 4 : 2) / kVectors;
  int block = 0;
  for (; block + kBlocks <= b.count; block += kBlocks) {
    multiply_tile<kVectors, kBlocks>(a, pitch, b.data + block * b.stride, b.stride, count, add, sums + block * kTileOutputs * pitch);
  }
  for (; block < b.count; block++) {
    multiply_tile<kVectors, 1>(a, pitch, b.data + block * b.stride, b.stride, count, add, sums + block * kTileOutputs * pitch);
  }
}

static void multiply(const float* a, int64_t pitch, const FloatBlocks& b, int64_t count, int width, bool add, float* sums) {
  constexpr int kMost = kRegisters >= 32 ? 4 : 2;
  int done = 0;
  for (; done + kMost * W <= width; done += kMost * W) multiply_columns<kMost>(a + done, pitch, b, count, add, sums + done);
  if constexpr (kMost == 4) {
    if (done + 2 * W <= width) {
      multiply_columns<2>(a + done, pitch, b, count, add, sums + done);
      done += 2 * W;
    }
  }
  for (; done < width; done += W) multiply_columns<1>(a + done, pitch, b, count, add, sums + done);
}

static void copy_runs(const float* source, ptrdiff_t planeStride, int64_t planes, const PanelRun* runs, int runCount, float* target) {
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

BNN_DEFINE_ROW(FloatTileRow, float_tile_row) = {BNN_ISA_NAME, BNN_ISA::multiply, BNN_ISA::copy_runs, BNN_ISA::finish};

}  // namespace bnn
