// BFDOT, for 64-bit ARM with FEAT_BF16 (Armv8.6): it adds the sum of both products at once, rounds to odd and takes what is below 2^-126 for 0.
// The instructions stand here by their names, for compilers disagree about the types of the intrinsics.
#include <string.h>

#define BNN_ISA neonbf16
#define BNN_VECTOR_FLOATS 4

#include "simd/vec.h"

namespace bnn {
namespace neonbf16 {
namespace {

inline V add_product(V sum, V x, V b) {
  asm("bfdot %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(x), "w"(b));
  return sum;
}

// The numbers of a, then those of b.
inline V both(V a, V b) {
  V pairs;
  asm("bfcvtn %0.4h, %1.4s\n\tbfcvtn2 %0.8h, %2.4s" : "=&w"(pairs) : "w"(a), "w"(b));
  return pairs;
}

// (a[i], b[i]).
inline V interleave(V a, V b) {
  V low, high;
  asm("bfcvtn %0.4h, %2.4s\n\tbfcvtn %1.4h, %3.4s\n\tzip1 %0.8h, %0.8h, %1.8h" : "=&w"(low), "=&w"(high) : "w"(a), "w"(b));
  return low;
}

// Half a vector of pairs, the first `count` numbers of it.
inline void store_half(float* p, V v, int count) {
  const V half = both(v, v);
  memcpy(p, &half, 2 * static_cast<size_t>(count));
}

}  // namespace
}  // namespace neonbf16
}  // namespace bnn

#include "kernels/conv2d/bf16.inl.h"
