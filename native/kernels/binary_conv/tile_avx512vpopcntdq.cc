// AVX-512 with VPOPCNTDQ: xor, popcount and add are three instructions for 512 bits.
//
// Three words a, b, c take eight instead of nine: |a| + |b| + |c| = |a ^ b ^ c| + 2 |maj(a, b, c)|. With a = x1 ^ w1 and so on, their xor
// is that of the xor of the data, which `prepare` puts in the panel, and the xor of the weights; and the majority follows
// from a, b and it: c is never made.
//
// Vectors of 16 pixels against broadcast weights where there are many pixels; what is left over, and dense layers, run as
// "columns": a vector holds four words of four outputs, so no lane is idle, and the same layout of the weights serves both.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 calls what _mm512_undefined_ps() gives uninitialized.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define BNN_ISA avx512vpopcntdq
#define BNN_VECTOR_FLOATS 16

#include "kernels/binary_conv/tile.h"
#include "kernels/binary_conv/tile_store.inl.h"

namespace bnn {
namespace avx512vpopcntdq {

// Up to this many left-over pixels are columns; more are an incomplete vector, which costs what four of them do.
constexpr int kLeftColumns = 3;
// Columns of a group.
constexpr int kMaxColumns = 8;

// Sums must stay in registers: the compiler is not to choose.
#define BNN_INLINE __attribute__((always_inline)) static inline
#define BNN_UNROLL _Pragma("GCC unroll 16")

BNN_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

static void build_panel(const PanelJob& job) {
  for (int i = 0; i < job.pieceCount; i++) {
    const PanelPiece piece = job.pieces[i];
    uint32_t* row = job.panel + static_cast<ptrdiff_t>(piece.word) * kTilePixels;
    const uint32_t* planes = job.planes + piece.source;
    const __m128i up = _mm_cvtsi32_si128(piece.shift);
    const __m128i down = _mm_cvtsi32_si128(32 - piece.shift);
    for (int j = 0; j < job.runCount; j++) {
      const PanelRun run = job.runs[j];
      const uint32_t* source = planes + run.source;
      uint32_t* target = row + run.pixel;
      int k = 0;
      if (piece.shift == 0) {
        for (; k + 16 <= run.count; k += 16) _mm512_storeu_si512(target + k, _mm512_loadu_si512(source + k));
        if (k == run.count) continue;
        const __mmask16 mask = first(run.count - k);
        _mm512_mask_storeu_epi32(target + k, mask, _mm512_maskz_loadu_epi32(mask, source + k));
        continue;
      }
      for (; k < run.count; k += 16) {
        const __mmask16 mask = run.count - k < 16 ? first(run.count - k) : static_cast<__mmask16>(0xffff);
        const __m512i bits = _mm512_maskz_loadu_epi32(mask, source + k);
        const __m512i old = _mm512_maskz_loadu_epi32(mask, target + k);
        _mm512_mask_storeu_epi32(target + k, mask, _mm512_or_si512(old, _mm512_sll_epi32(bits, up)));
        if (piece.straddles) _mm512_mask_storeu_epi32(target + kTilePixels + k, mask, _mm512_srl_epi32(bits, down));
      }
    }
  }
}

// How the pixels of a job are shared out.
struct Split {
  int vectors;  // of 16 pixels, the last one perhaps incomplete
  int firstColumn;
};

static inline Split split_of(const TileJob& job) {
  if (job.pixelStride != 1) return {0, 0};
  const int rest = job.pixels % 16;
  if (rest > kLeftColumns) return {job.pixels / 16 + 1, job.pixels};
  return {job.pixels / 16, job.pixels - rest};
}

// The third row of each three becomes the xor of all.
static inline void add_up_rows(const TileJob& job) {
  uint32_t* row = const_cast<uint32_t*>(job.panel);
  for (int k = 0; k + 3 <= job.kWords; k += 3, row += 3 * kTilePixels) {
    BNN_UNROLL
    for (int p = 0; p < kTilePixels; p += 16) {
      const __m512i a = _mm512_load_si512(row + p), b = _mm512_load_si512(row + kTilePixels + p);
      uint32_t* third = row + 2 * kTilePixels + p;
      _mm512_store_si512(third, _mm512_ternarylogic_epi32(a, b, _mm512_load_si512(third), 0x96));
    }
  }
}

// Columns in groups of up to kMaxColumns: u32[kStride / 4][columns][4 words][4 times the same].
static void prepare(const TileJob& job) {
  uint32_t* target = static_cast<uint32_t*>(job.workspace);
  const __m512i repeat = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  for (int begin = split_of(job).firstColumn; begin < job.pixels; begin += kMaxColumns) {
    const int columns = job.pixels - begin < kMaxColumns ? job.pixels - begin : kMaxColumns;
    for (int k = 0; k < job.kStride; k += 4) {
      for (int c = 0; c < columns; c++) {
        alignas(16) uint32_t words[4] = {0, 0, 0, 0};
        for (int i = 0; i < 4 && k + i < job.kWords; i++) words[i] = job.panel[(k + i) * kTilePixels + begin + c];
        const __m512i four = _mm512_castsi128_si512(_mm_load_si128(reinterpret_cast<const __m128i*>(words)));
        _mm512_store_si512(target, _mm512_permutexvar_epi32(repeat, four));
        target += 16;
      }
    }
  }
  if (split_of(job).vectors > 0) add_up_rows(job);
}

// The kinds of epilogue, as a parameter of the code: its few instructions count beside those of a short sum.
enum class Ending { kPlain, kAdd, kPRelu, kSign, kBits };

BNN_INLINE __m512 base_of(const float* base, bool small, __m512i classes) {
  if (small) return _mm512_permutexvar_ps(classes, _mm512_loadu_ps(base));
  return _mm512_i32gather_ps(classes, base, 4);
}

// Writes kVectors vectors of one output, and sets its bit in `words` where they are wanted. Masked stores cost several times as much as
// plain ones on some processors.
template <Ending kEnding, int kVectors, bool kWhole>
BNN_INLINE void finish_vectors(const TileJob& job, const __m512i* pop, const __m512i* classes, __mmask16 last, int pixel, int output,
                               __m512i* words) {
  const Epilogue& e = job.epilogue;
  constexpr bool kScaled = kEnding != Ending::kSign && kEnding != Ending::kBits;
  const auto splat = [&](bool used, const float* values) { return used ? _mm512_set1_ps(values[output]) : _mm512_setzero_ps(); };
  const __m512 scale = splat(kScaled, e.scale), bias = splat(kScaled, e.bias);
  const __m512 slope = splat(kEnding == Ending::kPRelu, e.slope), offset = splat(kEnding == Ending::kPRelu, e.offset);
  const __m512 threshold = splat(kEnding == Ending::kSign, e.threshold);
  const __m512 floor = _mm512_set1_ps(e.relu ? 0.0f : -__builtin_inff()), two = _mm512_set1_ps(2.0f);
  const float* base = job.base + static_cast<ptrdiff_t>(output) * job.classStride;
  const ptrdiff_t at = output * job.outputStride + pixel;
  const __m512i bit = _mm512_set1_epi32(static_cast<int32_t>(uint32_t{1} << output % 32));
  const __m512 least = splat(job.bitLeast != nullptr, job.bitLeast);
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) {
    const bool whole = kWhole || v + 1 < kVectors;
    if (kEnding == Ending::kBits) {
      const __m512i most =
          _mm512_permutexvar_epi32(classes[v], _mm512_loadu_si512(job.most + static_cast<ptrdiff_t>(output) * job.classStride));
      words[v] = _mm512_mask_or_epi32(words[v], _mm512_cmple_epi32_mask(pop[v], most), words[v], bit);
      continue;
    }
    // Exact, so the fused operation is too.
    const __m512 acc = _mm512_fnmadd_ps(two, _mm512_cvtepi32_ps(pop[v]), base_of(base, job.smallClasses, classes[v]));
    __m512 y;
    if (kEnding == Ending::kSign) {
      const __mmask16 isPlus = _mm512_cmp_ps_mask(acc, threshold, _CMP_GE_OQ);
      y = _mm512_mask_blend_ps(isPlus, _mm512_set1_ps(-1.0f), _mm512_set1_ps(1.0f));
    } else {
      y = _mm512_add_ps(_mm512_mul_ps(scale, _mm512_max_ps(acc, floor)), bias);
      if (kEnding == Ending::kAdd || (kEnding == Ending::kPRelu && e.residual != nullptr)) {
        const float* source = e.residual + at + 16 * v;
        y = _mm512_add_ps(y, whole ? _mm512_loadu_ps(source) : _mm512_maskz_loadu_ps(last, source));
      }
    }
    if (kEnding == Ending::kPRelu) {
      const __mmask16 bent = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ);
      y = _mm512_add_ps(_mm512_mask_mul_ps(y, bent, slope, y), offset);
    }
    if (job.bits != nullptr) {
      words[v] = _mm512_mask_or_epi32(words[v], _mm512_cmp_ps_mask(y, least, _CMP_GE_OQ), words[v], bit);
      if (job.y == nullptr) continue;
    }
    if (whole) {
      _mm512_storeu_ps(job.y + at + 16 * v, y);
    } else {
      _mm512_mask_storeu_ps(job.y + at + 16 * v, last, y);
    }
  }
}

// kVectors vectors of pixels × kOutputs outputs, all within kTileOutputs.
template <Ending kEnding, bool kTriples, int kVectors, int kOutputs>
__attribute__((noinline)) static void vectors(const TileJob& job, int pixel, int output) {
  __m512i pop[kOutputs][kVectors], pairs[kOutputs][kVectors];
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) pop[q][v] = pairs[q][v] = _mm512_setzero_si512();
  }
  const uint32_t* data = job.panel + pixel;
  const int inTile = output % kTileOutputs;
  const uint32_t* weights = (kTriples ? job.triples : job.weights) + static_cast<ptrdiff_t>(output - inTile) * job.kStride + inTile;
  int k = 0;
  const ptrdiff_t next = static_cast<ptrdiff_t>(job.kStride) * kTileOutputs;
  for (; k + 3 <= job.kWords; k += 3, data += 3 * kTilePixels, weights += 3 * kTileOutputs) {
    // The weights of the next outputs: in a network they are in the third-level cache by now.
    _mm_prefetch(reinterpret_cast<const char*>(weights + next), _MM_HINT_T0);
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      __m512i w[3];
      BNN_UNROLL
      for (int i = 0; i < 3; i++) w[i] = _mm512_set1_epi32(static_cast<int32_t>(weights[i * kTileOutputs + q]));
      if (!kTriples) w[2] = _mm512_ternarylogic_epi32(w[0], w[1], w[2], 0x96);
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) {
        const __m512i a = _mm512_xor_si512(w[0], _mm512_load_si512(data + 16 * v));
        const __m512i b = _mm512_xor_si512(w[1], _mm512_load_si512(data + kTilePixels + 16 * v));
        const __m512i sum = _mm512_xor_si512(w[2], _mm512_load_si512(data + 2 * kTilePixels + 16 * v));
        // a where it equals b, else the opposite of the sum.
        const __m512i majority = _mm512_ternarylogic_epi32(a, b, sum, 0xd4);
        pop[q][v] = _mm512_add_epi32(pop[q][v], _mm512_popcnt_epi32(sum));
        pairs[q][v] = _mm512_add_epi32(pairs[q][v], _mm512_popcnt_epi32(majority));
      }
    }
  }
  BNN_UNROLL
  for (int q = 0; q < kOutputs; q++) {
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) pop[q][v] = _mm512_add_epi32(pop[q][v], _mm512_add_epi32(pairs[q][v], pairs[q][v]));
  }
  for (; k < job.kWords; k++, data += kTilePixels, weights += kTileOutputs) {
    __m512i x[kVectors];
    BNN_UNROLL
    for (int v = 0; v < kVectors; v++) x[v] = _mm512_load_si512(data + 16 * v);
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      const __m512i w = _mm512_set1_epi32(static_cast<int32_t>(weights[q]));
      BNN_UNROLL
      for (int v = 0; v < kVectors; v++) {
        pop[q][v] = _mm512_add_epi32(pop[q][v], _mm512_popcnt_epi32(_mm512_xor_si512(x[v], w)));
      }
    }
  }
  __m512i classes[kVectors];
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) classes[v] = _mm512_loadu_si512(job.classes + pixel + 16 * v);
  const int outputs = job.outputs - output < kOutputs ? job.outputs - output : kOutputs;
  const int left = job.pixels - pixel - 16 * (kVectors - 1);
  const __mmask16 last = left >= 16 ? static_cast<__mmask16>(0xffff) : first(left);
  uint32_t* bits = job.bits != nullptr ? job.bits + output / 32 * job.bitsStride + pixel : nullptr;
  __m512i words[kVectors];
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) {
    const bool isFirst = bits == nullptr || output % 32 == 0;
    words[v] = isFirst ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi32(v + 1 < kVectors ? first(16) : last, bits + 16 * v);
  }
  if (left >= 16) {
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      if (q < outputs) finish_vectors<kEnding, kVectors, true>(job, pop[q], classes, 0, pixel, output + q, words);
    }
  } else {
    BNN_UNROLL
    for (int q = 0; q < kOutputs; q++) {
      if (q < outputs) finish_vectors<kEnding, kVectors, false>(job, pop[q], classes, last, pixel, output + q, words);
    }
  }
  if (bits == nullptr) return;
  BNN_UNROLL
  for (int v = 0; v < kVectors; v++) {
    if (v + 1 < kVectors || left >= 16) {
      _mm512_storeu_si512(bits + 16 * v, words[v]);
    } else {
      _mm512_mask_storeu_epi32(bits + 16 * v, last, words[v]);
    }
  }
}

// Their sums fit the registers.
template <Ending kEnding, bool kTriples, int kVectors, int kOutputs>
BNN_INLINE void four_outputs(const TileJob& job, int pixel, int output) {
  for (int end = output + kTileOutputs; output < end && output < job.outputs; output += kOutputs) {
    vectors<kEnding, kTriples, kVectors, kOutputs>(job, pixel, output);
  }
}

// Four outputs of one pixel from a vector of [4 words][4 outputs] counts.
static inline void finish_column(const TileJob& job, __m512i pop, int pixel, int output) {
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(pop), _mm512_extracti64x4_epi64(pop, 1));
  const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const Epilogue& e = job.epilogue;
  const float* base = job.base + static_cast<ptrdiff_t>(output) * job.classStride + job.classes[pixel];
  const ptrdiff_t step = job.classStride;
  const __m128 bases = _mm_set_ps(base[3 * step], base[2 * step], base[step], base[0]);
  __m128 acc = _mm_sub_ps(bases, _mm_cvtepi32_ps(_mm_slli_epi32(sum, 1)));
  const int outputs = job.outputs - output < kTileOutputs ? job.outputs - output : kTileOutputs;
  const __mmask8 mask = static_cast<__mmask8>((1u << outputs) - 1u);
  const ptrdiff_t at = output * job.outputStride + pixel * job.pixelStride;
  __m128 y;
  if (e.threshold != nullptr) {
    const __mmask8 isPlus = _mm_cmp_ps_mask(acc, _mm_loadu_ps(e.threshold + output), _CMP_GE_OQ);
    y = _mm_mask_blend_ps(isPlus, _mm_set1_ps(-1.0f), _mm_set1_ps(1.0f));
  } else {
    if (e.relu) acc = _mm_max_ps(acc, _mm_setzero_ps());
    y = _mm_add_ps(_mm_mul_ps(_mm_loadu_ps(e.scale + output), acc), _mm_loadu_ps(e.bias + output));
    if (e.residual != nullptr) {
      alignas(16) float added[4] = {0.0f, 0.0f, 0.0f, 0.0f};
      for (int q = 0; q < outputs; q++) added[q] = e.residual[at + q * job.outputStride];
      y = _mm_add_ps(y, _mm_load_ps(added));
    }
    if (e.slope != nullptr) {
      const __mmask8 bent = _mm_cmp_ps_mask(y, _mm_setzero_ps(), _CMP_LT_OQ);
      y = _mm_add_ps(_mm_mask_mul_ps(y, bent, _mm_loadu_ps(e.slope + output), y), _mm_loadu_ps(e.offset + output));
    }
  }
  if (job.bits != nullptr) {
    uint32_t* word = job.bits + output / 32 * job.bitsStride + pixel;
    const __m128 least = job.bitLeast != nullptr ? _mm_loadu_ps(job.bitLeast + output) : _mm_setzero_ps();
    const uint32_t found = _mm_mask_cmp_ps_mask(mask, y, least, _CMP_GE_OQ);
    *word = (output % 32 == 0 ? 0 : *word) | found << output % 32;
    if (job.y == nullptr) return;
  }
  if (job.outputStride == 1) {
    _mm_mask_storeu_ps(job.y + at, mask, y);
    return;
  }
  alignas(16) float values[4];
  _mm_store_ps(values, y);
  for (int q = 0; q < outputs; q++) job.y[at + q * job.outputStride] = values[q];
}

template <int kColumns>
static inline void columns(const TileJob& job, const uint32_t* data, int pixel, int output) {
  __m512i pop[kColumns];
  for (int c = 0; c < kColumns; c++) pop[c] = _mm512_setzero_si512();
  const uint32_t* weights = job.weights + static_cast<ptrdiff_t>(output) * job.kStride;
  for (int k = 0; k < job.kStride; k += 4, weights += 16, data += 16 * kColumns) {
    const __m512i w = _mm512_loadu_si512(weights);
    for (int c = 0; c < kColumns; c++) {
      const __m512i x = _mm512_load_si512(data + 16 * c);
      pop[c] = _mm512_add_epi32(pop[c], _mm512_popcnt_epi32(_mm512_xor_si512(x, w)));
    }
  }
  for (int c = 0; c < kColumns; c++) finish_column(job, pop[c], pixel + c, output);
}

template <Ending kEnding, bool kTriples>
static void compute_with(const TileJob& job, const Split& split) {
  for (int output = 0; output < job.outputs; output += kTileOutputs) {
    int v = 0;
    for (; v + 4 <= split.vectors; v += 4) four_outputs<kEnding, kTriples, 4, 2>(job, 16 * v, output);
    switch (split.vectors - v) {
      case 3: four_outputs<kEnding, kTriples, 3, 2>(job, 16 * v, output); break;
      case 2: four_outputs<kEnding, kTriples, 2, 4>(job, 16 * v, output); break;
      case 1: four_outputs<kEnding, kTriples, 1, 4>(job, 16 * v, output); break;
      default: break;
    }
    const uint32_t* data = static_cast<const uint32_t*>(job.workspace);
    for (int pixel = split.firstColumn; pixel < job.pixels; pixel += kMaxColumns) {
      switch (job.pixels - pixel) {
        case 1: columns<1>(job, data, pixel, output); break;
        case 2: columns<2>(job, data, pixel, output); break;
        case 3: columns<3>(job, data, pixel, output); break;
        case 4: columns<4>(job, data, pixel, output); break;
        case 5: columns<5>(job, data, pixel, output); break;
        case 6: columns<6>(job, data, pixel, output); break;
        case 7: columns<7>(job, data, pixel, output); break;
        default: columns<8>(job, data, pixel, output); break;
      }
      data += static_cast<ptrdiff_t>(job.kStride) * 4 * kMaxColumns;
    }
  }
}

template <Ending kEnding>
static void compute_as(const TileJob& job) {
  const Split split = split_of(job);
  // Columns read the plain weights: two forms of them would take twice the room in the caches.
  if (split.firstColumn < job.pixels) {
    compute_with<kEnding, false>(job, split);
  } else {
    compute_with<kEnding, true>(job, split);
  }
}

static void compute(const TileJob& job) {
  if (job.most != nullptr) {
    compute_as<Ending::kBits>(job);
  } else if (job.epilogue.threshold != nullptr) {
    compute_as<Ending::kSign>(job);
  } else if (job.epilogue.slope != nullptr) {
    compute_as<Ending::kPRelu>(job);
  } else if (job.epilogue.residual != nullptr) {
    compute_as<Ending::kAdd>(job);
  } else {
    compute_as<Ending::kPlain>(job);
  }
}

}  // namespace avx512vpopcntdq

extern const BinaryTileRow binary_tile_row_avx512vpopcntdq;
const BinaryTileRow binary_tile_row_avx512vpopcntdq = {
    "avx512vpopcntdq",        avx512vpopcntdq::build_panel,  avx512vpopcntdq::prepare,
    avx512vpopcntdq::compute, avx512vpopcntdq::store_pixels, true};

}  // namespace bnn
