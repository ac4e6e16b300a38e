#include <immintrin.h>

#define BNN_ISA avx2
#include "kernels/binarize/binarize.inl.h"

namespace bnn {
namespace avx2 {

// 32 pixels at a time: a comparison gives 32 ones or zeros, of which the channel's bit is kept.
static void channels_first_vectors(const float* x, const float* least, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  int p = 0;
  for (; p + 32 <= pixels; p += 32) {
    __m256i word[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    const float* source = x + p;
    __m256i bit = _mm256_set1_epi32(1);
    for (int c = 0; c < channels; c++, source += stride) {
      const __m256 threshold = _mm256_set1_ps(least[c]);
      for (int v = 0; v < 4; v++) {
        const __m256 mask = _mm256_cmp_ps(_mm256_loadu_ps(source + 8 * v), threshold, _CMP_GE_OQ);
        word[v] = _mm256_or_si256(word[v], _mm256_and_si256(_mm256_castps_si256(mask), bit));
      }
      bit = _mm256_slli_epi32(bit, 1);
    }
    for (int v = 0; v < 4; v++) _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + p + 8 * v), word[v]);
  }
  for (; p + 8 <= pixels; p += 8) {
    __m256i word = _mm256_setzero_si256();
    for (int c = 0; c < channels; c++) {
      const __m256 mask = _mm256_cmp_ps(_mm256_loadu_ps(x + c * stride + p), _mm256_set1_ps(least[c]), _CMP_GE_OQ);
      word = _mm256_or_si256(word, _mm256_and_si256(_mm256_castps_si256(mask), _mm256_set1_epi32(static_cast<int>(1u << c))));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + p), word);
  }
  if (p < pixels) channels_first(x + p, least, channels, stride, pixels - p, words + p);
}

static void channels_last_vectors(const float* x, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  const __m256 zero = _mm256_setzero_ps();
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const int whole = channels / 8;
  const __m256i rest = _mm256_cmpgt_epi32(_mm256_set1_epi32(channels % 8), lanes);
  for (int p = 0; p < pixels; p++, x += stride) {
    uint32_t word = 0;
    for (int v = 0; v < whole; v++) {
      const __m256 mask = _mm256_cmp_ps(_mm256_loadu_ps(x + 8 * v), zero, _CMP_GE_OQ);
      word |= static_cast<uint32_t>(_mm256_movemask_ps(mask)) << (8 * v);
    }
    if (channels % 8 != 0) {
      // Lanes that are not read are 0, which counts as +1.
      const __m256 mask = _mm256_cmp_ps(_mm256_maskload_ps(x + 8 * whole, rest), zero, _CMP_GE_OQ);
      word |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_and_ps(mask, _mm256_castsi256_ps(rest)))) << (8 * whole);
    }
    words[p] = word;
  }
}

static void row_vectors(const float* x, int64_t count, uint32_t* words) {
  const __m256 zero = _mm256_setzero_ps();
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    uint32_t word = 0;
    for (int v = 0; v < 4; v++) {
      const __m256 mask = _mm256_cmp_ps(_mm256_loadu_ps(x + i + 8 * v), zero, _CMP_GE_OQ);
      word |= static_cast<uint32_t>(_mm256_movemask_ps(mask)) << (8 * v);
    }
    words[i / 32] = word;
  }
  if (i < count) row(x + i, count - i, words + i / 32);
}

}  // namespace avx2

extern const BinarizeRow binarize_row_avx2;
const BinarizeRow binarize_row_avx2 = {"avx2", avx2::channels_first_vectors, avx2::channels_last_vectors, avx2::row_vectors,
                                       avx2::sign};

}  // namespace bnn
