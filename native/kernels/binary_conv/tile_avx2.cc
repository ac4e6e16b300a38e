// AVX2 has no popcount. For convolutions a byte shuffle does more than count: with 4 bits of 32 pixels in the bytes of a register,
// it looks up popcount(x XOR w) in the 16-entry table that belongs to the 4 bits w of the weights. That is 2 instructions for 128
// bits, where splitting, shuffling and adding takes about 4.
#include <immintrin.h>

#include "kernels/binary_conv/tile.h"

#define BNN_ISA avx2
#define BNN_VECTOR_BYTES 32

namespace bnn {
namespace avx2 {

typedef uint32_t Words __attribute__((vector_size(32)));

static inline Words popcount_bytes(Words v) {
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3,
                                          3, 4);
  const __m256i low = _mm256_set1_epi8(15), bits = reinterpret_cast<__m256i>(v);
  const __m256i a = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
  const __m256i b = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low));
  return reinterpret_cast<Words>(_mm256_add_epi8(a, b));
}

}  // namespace avx2
}  // namespace bnn

#include "kernels/binary_conv/tile.inl.h"

namespace bnn {
namespace avx2 {

#define BNN_POP(x) ((x & 1) + (x >> 1 & 1) + (x >> 2 & 1) + (x >> 3 & 1))
#define BNN_TABLE_HALF(w)                                                                                                     \
  BNN_POP((w ^ 0)), BNN_POP((w ^ 1)), BNN_POP((w ^ 2)), BNN_POP((w ^ 3)), BNN_POP((w ^ 4)), BNN_POP((w ^ 5)), BNN_POP((w ^ 6)), \
      BNN_POP((w ^ 7)), BNN_POP((w ^ 8)), BNN_POP((w ^ 9)), BNN_POP((w ^ 10)), BNN_POP((w ^ 11)), BNN_POP((w ^ 12)),            \
      BNN_POP((w ^ 13)), BNN_POP((w ^ 14)), BNN_POP((w ^ 15))
#define BNN_TABLE(w) {BNN_TABLE_HALF(w), BNN_TABLE_HALF(w)}
// tables[w][x] = popcount(x XOR w), twice: a shuffle looks up in each half on its own.
alignas(64) static const uint8_t tables[16][32] = {BNN_TABLE(0),  BNN_TABLE(1),  BNN_TABLE(2),  BNN_TABLE(3),
                                                   BNN_TABLE(4),  BNN_TABLE(5),  BNN_TABLE(6),  BNN_TABLE(7),
                                                   BNN_TABLE(8),  BNN_TABLE(9),  BNN_TABLE(10), BNN_TABLE(11),
                                                   BNN_TABLE(12), BNN_TABLE(13), BNN_TABLE(14), BNN_TABLE(15)};
#undef BNN_TABLE
#undef BNN_TABLE_HALF
#undef BNN_POP

// A byte holds 63 counts of at most 4: 7 words of 8 nibbles each stay below that.
constexpr int kFlushWords = 7;
// Pixels of a nibble row, as the vectors of 32 bytes lie in the workspace.
constexpr int kNibbleRow = kTilePixels;

// u8[kWords][8 nibbles][64 pixels]. The pack instructions work on halves of a register, so the pixels of 32 stand in the order
// 0-3, 8-11, 16-19, 24-27, 4-7, 12-15, 20-23, 28-31; `ordered` undoes that for the counts.
static void prepare_nibbles(const TileJob& job) {
  uint8_t* target = static_cast<uint8_t*>(job.workspace);
  const __m256i low = _mm256_set1_epi32(15);
  const int halves = job.pixels > 32 ? 2 : 1;
  for (int k = 0; k < job.kWords; k++) {
    for (int h = 0; h < halves; h++) {
      const uint32_t* words = job.panel + k * kTilePixels + 32 * h;
      __m256i x[4];
      for (int i = 0; i < 4; i++) x[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + 8 * i));
      for (int nibble = 0; nibble < 8; nibble++) {
        const __m256i a = _mm256_packus_epi32(_mm256_and_si256(x[0], low), _mm256_and_si256(x[1], low));
        const __m256i b = _mm256_packus_epi32(_mm256_and_si256(x[2], low), _mm256_and_si256(x[3], low));
        _mm256_store_si256(reinterpret_cast<__m256i*>(target + (k * 8 + nibble) * kNibbleRow + 32 * h),
                           _mm256_packus_epi16(a, b));
        for (int i = 0; i < 4; i++) x[i] = _mm256_srli_epi32(x[i], 4);
      }
    }
  }
}

// Adds 32 counts of bytes to 32 counts of 32 bits, back in the order of the pixels.
static inline void add_counts(__m256i bytes, int32_t* pop) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i ordered = _mm256_permutevar8x32_epi32(bytes, order);
  const __m128i halves[2] = {_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)};
  for (int i = 0; i < 4; i++) {
    const __m128i eight = i % 2 == 0 ? halves[i / 2] : _mm_srli_si128(halves[i / 2], 8);
    __m256i* target = reinterpret_cast<__m256i*>(pop + 8 * i);
    _mm256_store_si256(target, _mm256_add_epi32(_mm256_load_si256(target), _mm256_cvtepu8_epi32(eight)));
  }
}

// u8[kWords][8 nibbles][4 outputs], each nibble times 4: a scaled address of eight times that is a table's.
static void spread_weights(const uint32_t* weights, int words, uint8_t* target) {
  const __m128i transpose = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m128i mask = _mm_set1_epi8(15 << 2);
  for (int k = 0; k < words; k++, target += 32) {
    const __m128i four = _mm_load_si128(reinterpret_cast<const __m128i*>(weights + k * kTileOutputs));
    const __m128i bytes = _mm_shuffle_epi8(four, transpose);
    const __m128i low = _mm_and_si128(_mm_slli_epi16(bytes, 2), mask), high = _mm_and_si128(_mm_srli_epi16(bytes, 2), mask);
    _mm_store_si128(reinterpret_cast<__m128i*>(target), _mm_unpacklo_epi32(low, high));
    _mm_store_si128(reinterpret_cast<__m128i*>(target + 16), _mm_unpackhi_epi32(low, high));
  }
}

// kHalves vectors of 32 pixels × 4 outputs.
template <int kHalves>
static inline void shuffled(const TileJob& job, int output) {
  alignas(32) int32_t pop[kTileOutputs][kHalves * 32] = {};
  const uint8_t* data = static_cast<const uint8_t*>(job.workspace);
  uint8_t* spread = static_cast<uint8_t*>(job.workspace) + static_cast<ptrdiff_t>(job.kStride) * 8 * kNibbleRow;
  spread_weights(job.weights + static_cast<ptrdiff_t>(output) * job.kStride, job.kWords, spread);
  const uint8_t* weights = spread;
  for (int begin = 0; begin < job.kWords; begin += kFlushWords) {
    const int words = job.kWords - begin < kFlushWords ? job.kWords - begin : kFlushWords;
    __m256i bytes[kTileOutputs][kHalves];
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) {
      BNN_UNROLL
      for (int h = 0; h < kHalves; h++) bytes[q][h] = _mm256_setzero_si256();
    }
    for (int i = 0; i < 8 * words; i++, data += kNibbleRow, weights += kTileOutputs) {
      __m256i x[kHalves];
      BNN_UNROLL
      for (int h = 0; h < kHalves; h++) x[h] = _mm256_load_si256(reinterpret_cast<const __m256i*>(data + 32 * h));
      BNN_UNROLL
      for (int q = 0; q < kTileOutputs; q++) {
        const uint8_t* table = &tables[0][0] + static_cast<size_t>(weights[q]) * 8;
        const __m256i counts = _mm256_load_si256(reinterpret_cast<const __m256i*>(table));
        BNN_UNROLL
        for (int h = 0; h < kHalves; h++) {
          bytes[q][h] = _mm256_add_epi8(bytes[q][h], _mm256_shuffle_epi8(counts, x[h]));
          // GCC would put off the additions and keep the terms in memory.
          asm("" : "+x"(bytes[q][h]));
        }
      }
    }
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) {
      BNN_UNROLL
      for (int h = 0; h < kHalves; h++) add_counts(bytes[q][h], pop[q] + 32 * h);
    }
  }
  for (int q = 0; q < kTileOutputs && output + q < job.outputs; q++) {
    finish_row(job, pop[q], 0, job.pixels, output + q);
  }
}

static void prepare_best(const TileJob& job) {
  if (job.pixelStride != 1) {
    prepare_columns(job, 0);
  } else {
    prepare_nibbles(job);
  }
}

static void compute_best(const TileJob& job) {
  if (job.pixelStride != 1) {
    compute_columns(job);
    return;
  }
  for (int output = 0; output < job.outputs; output += kTileOutputs) {
    if (job.pixels > 32) {
      shuffled<2>(job, output);
    } else {
      shuffled<1>(job, output);
    }
  }
}

}  // namespace avx2

extern const BinaryTileRow binary_tile_row_avx2;
const BinaryTileRow binary_tile_row_avx2 = {"avx2", avx2::build_panel, avx2::prepare_best, avx2::compute_best};

}  // namespace bnn
