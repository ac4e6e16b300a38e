// AVX2 multiplies bytes to pairs of 16 bits, which weights up to ±63 do not leave.
#include <immintrin.h>

#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8

#include "simd/vec.h"

namespace bnn {
namespace avx2 {

typedef M Ints;

static inline Ints dot4(Ints sums, Ints data, Ints weights) {
  const __m256i pairs = _mm256_maddubs_epi16(reinterpret_cast<__m256i>(data), reinterpret_cast<__m256i>(weights));
  return sums + reinterpret_cast<Ints>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline Ints round_even(V x) { return reinterpret_cast<Ints>(_mm256_cvtps_epi32(reinterpret_cast<__m256>(x))); }
static inline Ints larger(Ints a, Ints b) {
  return reinterpret_cast<Ints>(_mm256_max_epi32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
}
static inline V within(V x, float low, float high) {
  return reinterpret_cast<V>(_mm256_min_ps(_mm256_max_ps(reinterpret_cast<__m256>(x), _mm256_set1_ps(low)), _mm256_set1_ps(high)));
}
static inline void store_bytes(uint8_t* p, Ints x) {
  const __m256i words = reinterpret_cast<__m256i>(x), pairs = _mm256_packus_epi32(words, words);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(pairs, pairs), _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(bytes));
}

}  // namespace avx2
}  // namespace bnn

#include "kernels/int8_conv/int8_conv.inl.h"

namespace bnn {
extern const Int8ConvRow int8_conv_row_avx2;
const Int8ConvRow int8_conv_row_avx2 = {"avx2", avx2::quantize, avx2::share, avx2::sums, avx2::pool};
}  // namespace bnn
