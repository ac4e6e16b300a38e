#include "kernels/elementwise/slope_table.h"
#include "simd/vec.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace bnn {
namespace BNN_ISA {
namespace {

// start[i] = pieces[2 · k[i]], rise[i] = pieces[2 · k[i] + 1]. A pair is one element of 64 bits, so half as many are gathered.
inline void look_up(const float* pieces, M k, V& start, V& rise) {
#if defined(__AVX512F__)
  const __m512i cells = reinterpret_cast<__m512i>(k);
  const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(cells), pieces, 8);
  const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(cells, 1), pieces, 8);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  start = reinterpret_cast<V>(_mm512_permutex2var_epi32(low, even, high));
  rise = reinterpret_cast<V>(_mm512_permutex2var_epi32(low, odd, high));
#elif defined(__AVX2__)
  const __m256i cells = reinterpret_cast<__m256i>(k);
  const auto* pairs = reinterpret_cast<const double*>(pieces);
  const __m256 low = _mm256_castpd_ps(_mm256_i32gather_pd(pairs, _mm256_castsi256_si128(cells), 8));
  const __m256 high = _mm256_castpd_ps(_mm256_i32gather_pd(pairs, _mm256_extracti128_si256(cells, 1), 8));
  // Within lanes of 128 bits, 0 1 4 5 | 2 3 6 7: the middle pairs change places.
  const __m256 starts = _mm256_shuffle_ps(low, high, 0x88), rises = _mm256_shuffle_ps(low, high, 0xdd);
  start = reinterpret_cast<V>(_mm256_permute4x64_pd(_mm256_castps_pd(starts), 0xd8));
  rise = reinterpret_cast<V>(_mm256_permute4x64_pd(_mm256_castps_pd(rises), 0xd8));
#else
  for (int i = 0; i < W; i++) {
    start[i] = pieces[2 * k[i]];
    rise[i] = pieces[2 * k[i] + 1];
  }
#endif
}

void slope_table_range(const float* x, const float* dy, const SlopeTable& table, float* dx, int64_t count) {
  const V limit = splat(table.limit);
  const V scale = splat(static_cast<float>(table.cells) / table.limit);
  const M last = M{} + (table.cells - 1);
  const auto slope = [&](V v, V d) {
    const V a = select(v < zero(), -v, v);
    const M is_inside = a <= limit;
    const V u = select(is_inside, a, limit) * scale;  // also for NaN, which may not be converted
    const M cell = __builtin_convertvector(u, M);
    const M k = cell < last ? cell : last;
    V start{}, rise{};
    look_up(table.pieces, k, start, rise);
    const V s = start + rise * (u - __builtin_convertvector(k, V));
    return select(is_inside, d * s, select(v != v, v, zero()));
  };
  int64_t i = 0;
  for (; i + W <= count; i += W) store(dx + i, slope(load(x + i), load(dy + i)));
  if (i < count) {
    const int n = static_cast<int>(count - i);
    store_n(dx + i, slope(load_n(x + i, n), load_n(dy + i, n)), n);
  }
}

constexpr SlopeTableRow kSlopeTableRow = {slope_table_range};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(SlopeTableRow, slope_table_row) = BNN_ISA::kSlopeTableRow;

}  // namespace bnn
