// AVX-512 with VNNI, which every processor with VPOPCNTDQ and this row's other instruction sets has.
#include <immintrin.h>

#define BNN_ISA avx512vpopcntdq
#define BNN_VECTOR_FLOATS 16

#include "simd/vec.h"

namespace bnn {
namespace avx512vpopcntdq {

typedef M Ints;

static inline Ints dot4(Ints sums, Ints data, Ints weights) {
  return reinterpret_cast<Ints>(
      _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(data), reinterpret_cast<__m512i>(weights)));
}
static inline Ints round_even(V x) { return reinterpret_cast<Ints>(_mm512_cvtps_epi32(reinterpret_cast<__m512>(x))); }
static inline Ints larger(Ints a, Ints b) {
  return reinterpret_cast<Ints>(_mm512_max_epi32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
static inline V within(V x, float low, float high) {
  return reinterpret_cast<V>(_mm512_min_ps(_mm512_max_ps(reinterpret_cast<__m512>(x), _mm512_set1_ps(low)), _mm512_set1_ps(high)));
}
static inline void store_bytes(uint8_t* p, Ints x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(x)));
}

}  // namespace avx512vpopcntdq
}  // namespace bnn

#include "kernels/int8_conv/int8_conv.inl.h"

namespace bnn {
extern const Int8ConvRow int8_conv_row_avx512vpopcntdq;
const Int8ConvRow int8_conv_row_avx512vpopcntdq = {"avx512vpopcntdq", avx512vpopcntdq::quantize, avx512vpopcntdq::share,
                                                   avx512vpopcntdq::sums, avx512vpopcntdq::pool};
}  // namespace bnn
