// The loops of int8_conv.h on the vector extensions of GCC and Clang.
//
// The including file defines BNN_ISA and BNN_VECTOR_FLOATS, see simd/vec.h, and in that namespace, before the include, `Ints` (a vector of i32) and
//
//     Ints dot4(Ints sums, Ints data, Ints weights)    sums + the four products of bytes of data (u8) and weights (i8), in each element
//     Ints round_even(V)                               of numbers within ±2^22
//     Ints larger(Ints, Ints)
//     V within(V, float low, float high)               NaN becomes `low`
//     void store_bytes(uint8_t*, Ints)
#pragma once

#include "kernels/int8_conv/int8_conv.h"
#include "simd/vec.h"

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 16")

namespace bnn {
namespace BNN_ISA {

constexpr int kOutputs = 4;
constexpr int kMostVectors = kRegisters >= 32 ? 4 : 2;

typedef int32_t IntsUnaligned __attribute__((vector_size(BNN_VECTOR_FLOATS * 4), aligned(1), may_alias));

static inline Ints load_ints(const void* p) { return *static_cast<const IntsUnaligned*>(p); }
static inline Ints splat_int(int32_t value) { return Ints{} + value; }
static inline Ints lanes_from(int first) {
  Ints lanes;
  for (int i = 0; i < W; i++) lanes[i] = i;
  return lanes + first;
}
static inline V to_floats(Ints x) { return __builtin_convertvector(x, V); }

static void quantize(const QuantizeJob& job) {
  const V scale = splat(job.scale);
  const float low = static_cast<float>(-job.zero), high = static_cast<float>(255 - job.zero);
  for (int64_t i = 0; i < job.count; i += W) {
    const int left = job.count - i < W ? static_cast<int>(job.count - i) : W;
    const V x = left == W ? load(job.x + i) : load_n(job.x + i, left);
    const Ints q = round_even(within(x / scale, low, high)) + job.zero;
    if (left == W) {
      store_bytes(job.q + i, q);
    } else {
      for (int k = 0; k < left; k++) job.q[i + k] = static_cast<uint8_t>(q[k]);
    }
  }
}

static void share(const ShareJob& job) {
  for (int i = 0; i < job.partCount;) {
    int end = i;
    while (end < job.partCount && job.parts[end].word == job.parts[i].word) end++;
    uint32_t* target = job.shared + job.parts[i].word * job.sharedPitch;
    const auto write = [&](const uint8_t* from, int begin, int limit) {
      for (int at = begin; at < limit; at += W) {
        Ints word{};
        for (int part = i; part < end; part++)
          word |= load_ints(from + 4 * at + job.parts[part].offset) & splat_int(static_cast<int32_t>(job.parts[part].mask));
        *reinterpret_cast<IntsUnaligned*>(target + at) = word;
      }
    };
    // What the last vector of even columns writes too much is written again.
    write(job.even, 0, job.evenCount);
    write(job.odd, job.evenCount, job.count);
    i = end;
  }
}

// Vectors from column `at` on: all on one side, `from`, but for the first where kMixed, which begins with even columns.
template <int kVectors, bool kMixed>
static inline void sums_of(const Int8RowJob& job, const uint8_t* from, int at) {
  Ints sum[kOutputs][kVectors];
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) sum[q][v] = Ints{};
  }
  const M isEven = lanes_from(at) < splat_int(job.evenCount);
  const uint32_t* weights = job.weights;
  for (int64_t g = 0; g < job.groups; g++, weights += kOutputs) {
    const ptrdiff_t offset = job.offsets[g] + 4 * at;
    Ints data[kVectors];
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) data[v] = load_ints(from + offset + 4 * v * W);
    if (kMixed) data[0] = isEven ? load_ints(job.even + offset) : data[0];
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      const Ints w = splat_int(static_cast<int32_t>(weights[q]));
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) sum[q][v] = dot4(sum[q][v], data[v], w);
    }
  }
  const uint32_t* shared = job.shared + at;
  for (int64_t g = 0; g < job.sharedWords; g++, weights += kOutputs, shared += job.sharedPitch) {
    Ints data[kVectors];
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) data[v] = load_ints(shared + v * W);
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      const Ints w = splat_int(static_cast<int32_t>(weights[q]));
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) sum[q][v] = dot4(sum[q][v], data[v], w);
    }
  }
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) *reinterpret_cast<IntsUnaligned*>(job.sums + q * job.pitch + at + v * W) = sum[q][v];
  }
}

template <bool kMixed>
static inline void sums_up_to(const Int8RowJob& job, int vectors, const uint8_t* from, int at) {
  switch (vectors) {
    case 1: sums_of<1, kMixed>(job, from, at); break;
    case 2: sums_of<2, kMixed>(job, from, at); break;
    case 3: sums_of < kMostVectors<3 ? 1 : 3, kMixed>(job, from, at); break;
    case 4: sums_of < kMostVectors<4 ? 1 : 4, kMixed>(job, from, at); break;
    default: break;
  }
}

static void sums(const Int8RowJob& job) {
  const int vectors = (job.count + W - 1) / W, even = job.evenCount / W;
  const auto few = [](int count) { return count < kMostVectors ? count : kMostVectors; };
  int v = 0;
  for (; v < even; v += few(even - v)) sums_up_to<false>(job, few(even - v), job.even, v * W);
  if (v < vectors && v * W < job.evenCount) {
    const int count = few(vectors - v);
    sums_up_to<true>(job, count, job.odd, v * W);
    v += count;
  }
  for (; v < vectors; v += few(vectors - v)) sums_up_to<false>(job, few(vectors - v), job.odd, v * W);
}

// Pooled columns from j on.
template <int kVectors>
static inline void pool_of(const Int8PoolJob& job, int j) {
  Ints most[kVectors];
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) most[v] = splat_int(INT32_MIN);
  for (int t = 0; t < job.tapCount; t++) {
    const PoolTap tap = job.taps[t];
    const int32_t* source = job.sums + tap.offset + j;
    if (tap.begin <= j && j + kVectors * W <= tap.end) {
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) most[v] = larger(load_ints(source + v * W), most[v]);
      continue;
    }
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const Ints lanes = lanes_from(j + v * W);
      const M isInside = (lanes >= splat_int(tap.begin)) & (lanes < splat_int(tap.end));
      most[v] = larger(isInside ? load_ints(source + v * W) : splat_int(INT32_MIN), most[v]);
    }
  }
  const V multiplier = splat(job.multiplier), step = splat(job.stepScale), scale = splat(job.scale), shift = splat(job.shift);
  const float low = static_cast<float>(-job.resultZero), high = static_cast<float>(255 - job.resultZero);
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) {
    const int at = j + v * W;
    const Ints result = round_even(within(to_floats(most[v] + job.bias) * multiplier, low, high)) + job.resultZero;
    V y = to_floats(result - job.stepZero) * step;
    if (job.isScaled) y = y * scale + shift;
    if (job.count - at >= W) {
      store(job.y + at, y);
    } else {
      store_n(job.y + at, y, job.count - at);
    }
  }
}

static void pool(const Int8PoolJob& job) {
  int j = 0;
  for (; job.count - j > 3 * W; j += 4 * W) pool_of<4>(job, j);
  for (; j < job.count; j += W) pool_of<1>(job, j);
}

}  // namespace BNN_ISA
}  // namespace bnn

#undef BNN_UNROLL
