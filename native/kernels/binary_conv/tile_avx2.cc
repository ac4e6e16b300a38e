// AVX2 has no popcount. For convolutions a byte shuffle does more than count: with 4 bits of 32 pixels in the bytes of a register,
// it looks up popcount(x XOR w) in the 16-entry table that belongs to the 4 bits w of the weights. Counts are at most 4, so a table
// serves two outputs, one in the lower and one in the upper half of each byte, and three such results add up before they are taken
// apart: about 20 instructions for 3 × 256 bits of each of 2 registers, where splitting, shuffling and adding takes 8 for 256.
#include <immintrin.h>

#include "kernels/binary_conv/tile.h"

#define BNN_ISA avx2
#define BNN_VECTOR_BYTES 32
#define BNN_VECTOR_FLOATS 8

namespace bnn {
namespace avx2 {

typedef uint32_t Words __attribute__((vector_size(32)));

static inline Words popcount_bytes(Words v) {
  const __m256i counts =
      _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15), bits = reinterpret_cast<__m256i>(v);
  const __m256i a = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
  const __m256i b = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low));
  return reinterpret_cast<Words>(_mm256_add_epi8(a, b));
}

}  // namespace avx2
}  // namespace bnn

#include "kernels/binary_conv/tile.inl.h"
#include "kernels/binary_conv/tile_store.inl.h"

namespace bnn {
namespace avx2 {

// of[v + 16 · w][x] = popcount(x XOR v) + 16 · popcount(x XOR w).
struct PairTables {
  uint8_t of[256][16];
  constexpr PairTables() : of() {
    const int ones[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
    for (int pair = 0; pair < 256; pair++) {
      for (int x = 0; x < 16; x++) {
        of[pair][x] = static_cast<uint8_t>(ones[x ^ (pair & 15)] + 16 * ones[x ^ (pair >> 4)]);
      }
    }
  }
};
alignas(64) static constexpr PairTables tables;

// Results that add up in half a byte: 3 of at most 4 stay below 16.
constexpr int kGroup = 3;
// Groups that add up in a byte: 21 of at most 12 stay below 256.
constexpr int kFlushNibbles = 21 * kGroup;
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
        _mm256_store_si256(reinterpret_cast<__m256i*>(target + (k * 8 + nibble) * kNibbleRow + 32 * h), _mm256_packus_epi16(a, b));
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

// u16[kWords][8 nibbles][2 pairs of outputs]: where the table of the pair's nibbles begins.
static void spread_weights(const uint32_t* weights, int words, uint16_t* target) {
  const __m128i transpose = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m128i nibbles = _mm_set1_epi8(15), pairs = _mm_set1_epi16(255);
  for (int k = 0; k < words; k++, target += 16) {
    const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + k * kTileOutputs));
    const __m128i bytes = _mm_shuffle_epi8(four, transpose);
    __m128i low = _mm_and_si128(bytes, nibbles), high = _mm_and_si128(_mm_srli_epi16(bytes, 4), nibbles);
    low = _mm_slli_epi16(_mm_and_si128(_mm_or_si128(low, _mm_srli_epi16(low, 4)), pairs), 4);
    high = _mm_slli_epi16(_mm_and_si128(_mm_or_si128(high, _mm_srli_epi16(high, 4)), pairs), 4);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target), _mm_unpacklo_epi32(low, high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target + 8), _mm_unpackhi_epi32(low, high));
  }
}

// Adds kNibbles counts to the bytes of 4 outputs × kHalves vectors of 32 pixels.
template <int kHalves, int kNibbles>
__attribute__((always_inline)) static inline void add_group(const uint8_t* data, const uint16_t* weights,
                                                            __m256i bytes[kTileOutputs][kHalves]) {
  const __m256i low = _mm256_set1_epi8(15);
  __m256i sum[2][kHalves];
  BNN_UNROLL
  for (int i = 0; i < kNibbles; i++) {
    __m256i x[kHalves];
    BNN_UNROLL
    for (int h = 0; h < kHalves; h++) x[h] = _mm256_load_si256(reinterpret_cast<const __m256i*>(data + i * kNibbleRow + 32 * h));
    BNN_UNROLL
    for (int pair = 0; pair < 2; pair++) {
      const uint8_t* table = &tables.of[0][0] + weights[2 * i + pair];
      const __m256i counts = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
      BNN_UNROLL
      for (int h = 0; h < kHalves; h++) {
        const __m256i found = _mm256_shuffle_epi8(counts, x[h]);
        sum[pair][h] = i == 0 ? found : _mm256_add_epi8(sum[pair][h], found);
      }
    }
  }
  BNN_UNROLL
  for (int pair = 0; pair < 2; pair++) {
    BNN_UNROLL
    for (int h = 0; h < kHalves; h++) {
      const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(sum[pair][h], 4), low);
      bytes[2 * pair][h] = _mm256_add_epi8(bytes[2 * pair][h], _mm256_and_si256(sum[pair][h], low));
      bytes[2 * pair + 1][h] = _mm256_add_epi8(bytes[2 * pair + 1][h], upper);
      // GCC would put off the additions and keep the terms in memory.
      asm("" : "+x"(bytes[2 * pair][h]), "+x"(bytes[2 * pair + 1][h]));
    }
  }
}

// The epilogue of one output with its numbers in registers.
struct VectorEpilogue {
  const Epilogue& e;
  __m256 scale, bias, floor, slope, offset, threshold;

  VectorEpilogue(const Epilogue& from, int output) : e(from) {
    const auto splat = [&](const float* values) { return values != nullptr ? _mm256_set1_ps(values[output]) : _mm256_setzero_ps(); };
    scale = splat(e.scale);
    bias = splat(e.bias);
    slope = splat(e.slope);
    offset = splat(e.offset);
    threshold = splat(e.threshold);
    floor = _mm256_set1_ps(e.relu ? 0.0f : -__builtin_inff());
  }

  __m256 finish(__m256 acc, __m256 residual) const {
    if (e.threshold != nullptr) {
      const __m256 isPlus = _mm256_cmp_ps(acc, threshold, _CMP_GE_OQ);
      return _mm256_blendv_ps(_mm256_set1_ps(-1.0f), _mm256_set1_ps(1.0f), isPlus);
    }
    __m256 z = _mm256_add_ps(_mm256_mul_ps(scale, _mm256_max_ps(acc, floor)), bias);
    if (e.residual != nullptr) z = _mm256_add_ps(z, residual);
    if (e.slope == nullptr) return z;
    const __m256 isNegative = _mm256_cmp_ps(z, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_add_ps(_mm256_blendv_ps(z, _mm256_mul_ps(slope, z), isNegative), offset);
  }
};

// Writes the pixels of one output from their counts. The base of a class comes from registers when there are up to 16.
static inline void finish_pixels(const TileJob& job, const int32_t* pop, int output) {
  const float* base = job.base + static_cast<ptrdiff_t>(output) * job.classStride;
  const __m256 low = _mm256_loadu_ps(base), high = _mm256_loadu_ps(base + 8);
  const __m256i seven = _mm256_set1_epi32(7);
  const VectorEpilogue epilogue(job.epilogue, output);
  const bool small = job.smallClasses;
  const int pixels = job.pixels;
  const float* residual = job.epilogue.residual != nullptr ? job.epilogue.residual + output * job.outputStride : nullptr;
  float* y = job.y + output * job.outputStride;
  for (int p = 0; p < pixels; p += 8) {
    const __m256i classes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(job.classes + p));
    const __m256 bases = small ? _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, classes), _mm256_permutevar8x32_ps(high, classes),
                                                  _mm256_castsi256_ps(_mm256_cmpgt_epi32(classes, seven)))
                               : _mm256_i32gather_ps(base, classes, 4);
    const __m256i counts = _mm256_load_si256(reinterpret_cast<const __m256i*>(pop + p));
    const __m256 acc = _mm256_sub_ps(bases, _mm256_cvtepi32_ps(_mm256_slli_epi32(counts, 1)));
    if (p + 8 <= pixels) {
      const __m256 added = residual != nullptr ? _mm256_loadu_ps(residual + p) : _mm256_setzero_ps();
      _mm256_storeu_ps(y + p, epilogue.finish(acc, added));
      continue;
    }
    const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(pixels - p), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256 added = residual != nullptr ? _mm256_maskload_ps(residual + p, mask) : _mm256_setzero_ps();
    _mm256_maskstore_ps(y + p, mask, epilogue.finish(acc, added));
  }
}

// kHalves vectors of 32 pixels × 4 outputs.
template <int kHalves>
static inline void shuffled(const TileJob& job, int output) {
  alignas(32) int32_t pop[kTileOutputs][kHalves * 32] = {};
  const uint8_t* data = static_cast<const uint8_t*>(job.workspace);
  const ptrdiff_t dataBytes = static_cast<ptrdiff_t>(job.kStride) * 8 * kNibbleRow;
  uint16_t* spread = reinterpret_cast<uint16_t*>(static_cast<uint8_t*>(job.workspace) + dataBytes);
  spread_weights(job.weights + static_cast<ptrdiff_t>(output) * job.kStride, job.kWords, spread);
  const uint16_t* weights = spread;
  for (int left = 8 * job.kWords; left > 0; left -= kFlushNibbles) {
    const int nibbles = left < kFlushNibbles ? left : kFlushNibbles;
    __m256i bytes[kTileOutputs][kHalves];
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) {
      BNN_UNROLL
      for (int h = 0; h < kHalves; h++) bytes[q][h] = _mm256_setzero_si256();
    }
    int done = 0;
    for (; done + kGroup <= nibbles; done += kGroup, data += kGroup * kNibbleRow, weights += kGroup * 2) {
      add_group<kHalves, kGroup>(data, weights, bytes);
    }
    for (; done < nibbles; done++, data += kNibbleRow, weights += 2) add_group<kHalves, 1>(data, weights, bytes);
    BNN_UNROLL
    for (int q = 0; q < kTileOutputs; q++) {
      BNN_UNROLL
      for (int h = 0; h < kHalves; h++) add_counts(bytes[q][h], pop[q] + 32 * h);
    }
  }
  for (int q = 0; q < kTileOutputs && output + q < job.outputs; q++) {
    finish_pixels(job, pop[q], output + q);
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
const BinaryTileRow binary_tile_row_avx2 = {"avx2", avx2::build_panel, avx2::prepare_best, avx2::compute_best, avx2::store_pixels};

}  // namespace bnn
