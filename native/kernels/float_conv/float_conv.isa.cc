#include "kernels/float_conv/float_conv.h"
#include "simd/vec.h"

#if defined(__FMA__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 16")

namespace bnn {
namespace BNN_ISA {

constexpr int kOutputs = 4;

// a · b + c, rounded once, also where there is no such instruction.
static inline V fused(V a, V b, V c) {
#if defined(__AVX512F__)
  return reinterpret_cast<V>(_mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__FMA__)
  return reinterpret_cast<V>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#elif defined(__aarch64__)
  return reinterpret_cast<V>(
      vfmaq_f32(reinterpret_cast<float32x4_t>(c), reinterpret_cast<float32x4_t>(a), reinterpret_cast<float32x4_t>(b)));
#else
  for (int i = 0; i < W; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#endif
}

template <int kVectors>
static inline void sums_of(const FloatRowJob& job, int pixel) {
  V total[kOutputs][kVectors] = {};
  const float* weights = job.weights;
  for (int64_t c = 0; c < job.channels; c++) {
    V sum[kOutputs][kVectors];
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) sum[q][v] = zero();
    }
    const float* x = job.x + c * job.channelStride + pixel;
    for (int64_t t = 0; t < job.tapCount; t++, weights += kOutputs) {
      const float* source = x + job.taps[t];
      V data[kVectors];
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) data[v] = load(source + v * W);
      BNN_UNROLL
      for (int q = 0; q < kOutputs; q++) {
        const V w = splat(weights[q]);
        BNN_UNROLL
        for (int v = 0; v < kVectors; v++) sum[q][v] = fused(data[v], w, sum[q][v]);
      }
    }
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) total[q][v] = c == 0 ? sum[q][v] : sum[q][v] + total[q][v];
    }
  }
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    float* y = job.y + q * job.pitch + pixel;
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) {
      V z = total[q][v];
      if (job.bias != nullptr) z = z + splat(job.bias[q]);
      // NaN and −0 stay.
      if (job.relu) z = select(zero() > z, zero(), z);
      store(y + v * W, z);
    }
  }
}

static void sums(const FloatRowJob& job) {
  constexpr int kMost = kRegisters >= 32 ? 4 : 2;
  int pixel = 0;
  for (; pixel + (kMost - 1) * W < job.count; pixel += kMost * W) sums_of<kMost>(job, pixel);
  if constexpr (kMost == 4) {
    if (pixel + 2 * W < job.count) {
      sums_of<3>(job, pixel);
      return;
    }
    if (pixel + W < job.count) {
      sums_of<2>(job, pixel);
      return;
    }
  }
  if (pixel < job.count) sums_of<1>(job, pixel);
}

typedef float Four __attribute__((vector_size(16)));
typedef float FourUnaligned __attribute__((vector_size(16), aligned(4), may_alias));

static inline Four fused_four(Four a, float b, Four c) {
#if defined(__FMA__)
  return reinterpret_cast<Four>(_mm_fmadd_ps(reinterpret_cast<__m128>(a), _mm_set1_ps(b), reinterpret_cast<__m128>(c)));
#else
  for (int i = 0; i < 4; i++) c[i] = __builtin_fmaf(a[i], b, c[i]);
  return c;
#endif
}

static void columns(const FloatRowJob& job) {
  // Sums of several blocks go on while one waits for its last product.
  const ptrdiff_t blockWeights = job.channels * job.tapCount * kOutputs;
  for (int pixel = 0; pixel < job.count; pixel++) {
    Four total[kColumnBlocks] = {};
    const float* weights = job.weights;
    for (int64_t c = 0; c < job.channels; c++) {
      Four sum[kColumnBlocks] = {};
      const float* x = job.x + c * job.channelStride + pixel;
      for (int64_t t = 0; t < job.tapCount; t++, weights += kOutputs) {
        BNN_UNROLL
        for (int b = 0; b < kColumnBlocks; b++) {
          sum[b] = fused_four(*reinterpret_cast<const FourUnaligned*>(weights + b * blockWeights), x[job.taps[t]], sum[b]);
        }
      }
      BNN_UNROLL
      for (int b = 0; b < kColumnBlocks; b++) total[b] = c == 0 ? sum[b] : sum[b] + total[b];
    }
    for (int o = 0; o < kColumnBlocks * kOutputs; o++) {
      float z = total[o / kOutputs][o % kOutputs];
      if (job.bias != nullptr) z = z + job.bias[o];
      job.y[o * job.pitch + pixel] = job.relu && z < 0.0f ? 0.0f : z;
    }
  }
}

static void scale(const float* z, int count, bool isScaled, float factor, float shift, float* y) {
  const V f = splat(factor), s = splat(shift);
  for (int i = 0; i < count; i += W) {
    V value = load(z + i);
    if (isScaled) value = fused(value, f, zero()) + s;
    if (count - i >= W) {
      store(y + i, value);
    } else {
      store_n(y + i, value, count - i);
    }
  }
}

}  // namespace BNN_ISA

BNN_DEFINE_ROW(FloatConvRow, float_conv_row) = {BNN_ISA_NAME, BNN_ISA::W, BNN_ISA::sums, BNN_ISA::columns, BNN_ISA::scale};

}  // namespace bnn
