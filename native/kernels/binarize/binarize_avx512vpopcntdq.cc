// A comparison gives 16 bits of one channel; or-ing the channel's bit under that mask needs no transposition.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 calls what _mm512_undefined_ps() gives uninitialized.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "kernels/binarize/binarize.h"

namespace bnn {
namespace avx512vpopcntdq {

static inline __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

static void channels_first(const float* x, const float* least, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  int p = 0;
  for (; p + 64 <= pixels; p += 64) {
    __m512i word[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512i bit = _mm512_set1_epi32(1);
    const float* source = x + p;
    for (int c = 0; c < channels; c++, source += stride) {
      const __m512 threshold = _mm512_set1_ps(least[c]);
      for (int v = 0; v < 4; v++) {
        const __mmask16 mask = _mm512_cmp_ps_mask(_mm512_loadu_ps(source + 16 * v), threshold, _CMP_GE_OQ);
        word[v] = _mm512_mask_or_epi32(word[v], mask, word[v], bit);
      }
      bit = _mm512_slli_epi32(bit, 1);
    }
    for (int v = 0; v < 4; v++) _mm512_storeu_si512(words + p + 16 * v, word[v]);
  }
  for (; p < pixels; p += 16) {
    const __mmask16 valid = pixels - p < 16 ? first(pixels - p) : static_cast<__mmask16>(0xffff);
    __m512i word = _mm512_setzero_si512();
    __m512i bit = _mm512_set1_epi32(1);
    const float* source = x + p;
    for (int c = 0; c < channels; c++, source += stride) {
      const __m512 threshold = _mm512_set1_ps(least[c]);
      const __mmask16 mask = _mm512_cmp_ps_mask(_mm512_maskz_loadu_ps(valid, source), threshold, _CMP_GE_OQ);
      word = _mm512_mask_or_epi32(word, mask, word, bit);
      bit = _mm512_slli_epi32(bit, 1);
    }
    _mm512_mask_storeu_epi32(words + p, valid, word);
  }
}

static void channels_last(const float* x, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  const __m512 zero = _mm512_setzero_ps();
  const __mmask16 low = channels < 16 ? first(channels) : static_cast<__mmask16>(0xffff);
  if (channels <= 16) {
    for (int p = 0; p < pixels; p++, x += stride) {
      words[p] = _mm512_mask_cmp_ps_mask(low, _mm512_maskz_loadu_ps(low, x), zero, _CMP_GE_OQ);
    }
    return;
  }
  const __mmask16 high = channels < 32 ? first(channels - 16) : static_cast<__mmask16>(0xffff);
  for (int p = 0; p < pixels; p++, x += stride) {
    const uint32_t a = _mm512_cmp_ps_mask(_mm512_loadu_ps(x), zero, _CMP_GE_OQ);
    const uint32_t b = _mm512_mask_cmp_ps_mask(high, _mm512_maskz_loadu_ps(high, x + 16), zero, _CMP_GE_OQ);
    words[p] = a | b << 16;
  }
}

static void row(const float* x, int64_t count, uint32_t* words) {
  const __m512 zero = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += 32) {
    const int64_t left = count - i;
    const __mmask16 low = left < 16 ? first(static_cast<int>(left)) : static_cast<__mmask16>(0xffff);
    const __mmask16 high = left <= 16  ? static_cast<__mmask16>(0)
                           : left < 32 ? first(static_cast<int>(left - 16))
                                       : static_cast<__mmask16>(0xffff);
    const uint32_t a = _mm512_mask_cmp_ps_mask(low, _mm512_maskz_loadu_ps(low, x + i), zero, _CMP_GE_OQ);
    const uint32_t b = _mm512_mask_cmp_ps_mask(high, _mm512_maskz_loadu_ps(high, x + i + 16), zero, _CMP_GE_OQ);
    words[i / 32] = a | b << 16;
  }
}

static void sign(const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; i++) y[i] = x[i] >= 0.0f ? 1.0f : -1.0f;
}

}  // namespace avx512vpopcntdq

extern const BinarizeRow binarize_row_avx512vpopcntdq;
const BinarizeRow binarize_row_avx512vpopcntdq = {"avx512vpopcntdq", avx512vpopcntdq::channels_first, avx512vpopcntdq::channels_last,
                                                  avx512vpopcntdq::row, avx512vpopcntdq::sign};

}  // namespace bnn
