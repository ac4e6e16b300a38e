// What int8_conv.inl.h wants, in plain vector operations. The including file defines BNN_ISA and BNN_VECTOR_FLOATS.
#pragma once

#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {

typedef M Ints;

static inline Ints dot4(Ints sums, Ints data, Ints weights) {
  for (int shift = 0; shift < 32; shift += 8) sums += (data >> shift & 255) * (weights << (24 - shift) >> 24);
  return sums;
}
// Beside 1.5 · 2^23 the fraction is rounded away.
static inline Ints round_even(V x) { return __builtin_convertvector(rounded(x + 12582912.0f) - 12582912.0f, Ints); }
static inline Ints larger(Ints a, Ints b) { return a > b ? a : b; }
static inline V within(V x, float low, float high) {
  x = select(x > splat(low), x, splat(low));
  return select(x < splat(high), x, splat(high));
}
static inline void store_bytes(uint8_t* p, Ints x) {
  for (int i = 0; i < W; i++) p[i] = static_cast<uint8_t>(x[i]);
}

}  // namespace BNN_ISA
}  // namespace bnn

#include "kernels/int8_conv/int8_conv.inl.h"
