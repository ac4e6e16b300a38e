// VDPBF16PS and the transforms that write what it reads.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 calls what _mm512_undefined_ps() gives uninitialized.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define BNN_ISA avx512bf16
#define BNN_VECTOR_FLOATS 16

#include "kernels/conv2d/bf16.h"
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

}  // namespace
}  // namespace avx512bf16
}  // namespace bnn

#include "kernels/conv2d/chunk.inl.h"
#include "kernels/conv2d/winograd_tiles.inl.h"

namespace bnn {
namespace avx512bf16 {
namespace {

// The numbers of a, then those of b.
inline V both(V a, V b) { return reinterpret_cast<V>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(a))); }

// (a[i], b[i]).
inline V interleave(V a, V b) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
                                         3, 18, 2, 17, 1, 16, 0);
  return reinterpret_cast<V>(_mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(both(a, b))));
}

void pair(const float* a, const float* b, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + W <= count; i += W) store(out + i, interleave(load(a + i), load(b + i)));
  if (i < count) {
    const int n = static_cast<int>(count - i);
    store_n(out + i, interleave(load_n(a + i, n), load_n(b + i, n)), n);
  }
}

void join(const float* x, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + W <= count; i += W) store(out + i, both(load(x + 2 * i), load(x + 2 * i + W)));
  const int64_t left = 2 * (count - i);
  if (left > 0) {
    const V low = load_some(x + 2 * i, static_cast<int>(left < W ? left : W));
    const V high = left > W ? load_n(x + 2 * i + W, static_cast<int>(left - W)) : zero();
    store_n(out + i, both(low, high), static_cast<int>(count - i));
  }
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

void input(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride) {
  int64_t c = 0;
  for (; c + W <= channels; c += W)
    input_channels<true>(d + c, pitch, tiles, channels, W, spectrum + c / 2, plane, stride, store_half);
  if (c < channels) {
    input_channels<false>(d + c, pitch, tiles, channels, static_cast<int>(channels - c), spectrum + c / 2, plane, stride, store_half);
  }
}

// Two tiles side by side, or one and nothing.
template <bool kBoth>
inline void input_pair(const float* d, int64_t pitch, int64_t channels, int n, float* spectrum, int64_t plane) {
  V column[6][4];
#pragma GCC unroll 6
  for (int q = 0; q < (kBoth ? 6 : 4); q++) load_column(d + q * channels, pitch, n, column[q]);
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++) {
    V left[4], right[4] = {zero(), zero(), zero(), zero()};
    winograd::input(column[0][r], column[1][r], column[2][r], column[3][r], left);
    if (kBoth) winograd::input(column[2][r], column[3][r], column[4][r], column[5][r], right);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) store_some(spectrum + (4 * r + c) * plane, interleave(left[c], right[c]), n);
  }
}

void input_pairs(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride) {
  for (int64_t c = 0; c < channels; c += W) {
    const int n = channels - c < W ? static_cast<int>(channels - c) : W;
    const float* from = d + c;
    float* to = spectrum + c;
    int64_t t = 0;
    for (; t + 2 <= tiles; t += 2) {
      n == W ? input_pair<true>(from, pitch, channels, W, to, plane) : input_pair<true>(from, pitch, channels, n, to, plane);
      from += 4 * channels;
      to += stride;
    }
    if (t < tiles) input_pair<false>(from, pitch, channels, n, to, plane);
  }
}

template <bool kBoth>
inline void output_grad_pair(const float* dy, int64_t pitch, int64_t channels, int n, float* spectrum, int64_t plane) {
  V left[4][4], right[4][4] = {};
  output_grad_tile(dy, pitch, channels, n, left);
  if (kBoth) output_grad_tile(dy + 2 * channels, pitch, channels, n, right);
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) store(spectrum + (4 * r + q) * plane, interleave(left[r][q], right[r][q]));
  }
}

void output_grad_pairs(const float* dy, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane,
                       int64_t stride) {
  for (int64_t c = 0; c < stride; c += W) {
    const int n = channels - c < W ? static_cast<int>(channels - c) : W;
    const float* from = dy + c;
    float* to = spectrum + c;
    int64_t t = 0;
    for (; t + 2 <= tiles; t += 2) {
      n == W ? output_grad_pair<true>(from, pitch, channels, W, to, plane)
             : output_grad_pair<true>(from, pitch, channels, n, to, plane);
      from += 4 * channels;
      to += stride;
    }
    if (t < tiles) output_grad_pair<false>(from, pitch, channels, n, to, plane);
  }
}

}  // namespace
}  // namespace avx512bf16

extern const Bf16Row bf16_row_avx512bf16;
const Bf16Row bf16_row_avx512bf16 = {
    {avx512bf16::W, avx512bf16::kPanelVectors, avx512bf16::forward, avx512bf16::filter_grad},
    avx512bf16::pair,
    avx512bf16::join,
    avx512bf16::input,
    avx512bf16::input_pairs,
    avx512bf16::output_grad_pairs,
};

}  // namespace bnn
