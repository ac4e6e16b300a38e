// VDPBF16PS.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 calls what _mm512_undefined_ps() gives uninitialized.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define BNN_ISA avx512bf16
#define BNN_VECTOR_FLOATS 16

#include "simd/vec.h"

namespace bnn {
namespace avx512bf16 {
namespace {

inline V add_product(V sum, V x, V b) {
#if defined(__clang__)
  // Clang 16 ends without a word where these vectors are taken for vectors of its type for bfloat16.
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(b));
  return sum;
#else
  return reinterpret_cast<V>(
      _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(b)));
#endif
}

// The numbers of a, then those of b.
inline V both(V a, V b) { return reinterpret_cast<V>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(a))); }

// (a[i], b[i]).
inline V interleave(V a, V b) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
                                         3, 18, 2, 17, 1, 16, 0);
  return reinterpret_cast<V>(_mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(both(a, b))));
}

// Half a vector of pairs, the first `count` numbers of it.
inline void store_half(float* p, V v, int count) {
  const __m256i half = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
  if (count == W) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), half);
  } else {
    _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << count) - 1u), half);
  }
}

}  // namespace
}  // namespace avx512bf16
}  // namespace bnn

#include "kernels/conv2d/bf16.inl.h"
