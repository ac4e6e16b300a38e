// WebAssembly. `i8x16.popcnt` is one instruction of ARM but ten of x86, and `i8x16.swizzle` is three, so bits are neither counted nor looked up
// in registers: sums of few bits are made once and used by all outputs ("four Russians").
//
// For each 4 bits of the data, a table in memory has popcount(x XOR w) for all 16 values w of the weights, of 64 pixels at a time. Counts are at
// most 4, so a byte holds those of two pixels, one in each half, and three tables add up before a half overflows: an output takes one load and about
// two other operations for 128 products. Bytes may overflow: the upper halves are added up apart, and what they are worth is taken
// off the sum in the end, modulo 256.
#include <wasm_simd128.h>

#include "kernels/binary_conv/tile.h"

#define BNN_ISA wasm
#define BNN_VECTOR_BYTES 16
#define BNN_VECTOR_FLOATS 4

namespace bnn {
namespace wasm {

typedef uint32_t Words __attribute__((vector_size(16)));

static inline Words popcount_bytes(Words v) { return reinterpret_cast<Words>(wasm_i8x16_popcnt(reinterpret_cast<v128_t>(v))); }

}  // namespace wasm
}  // namespace bnn

#include "kernels/binary_conv/tile.inl.h"
#include "kernels/binary_conv/tile_store.inl.h"
#include "simd/vec.h"

namespace bnn {
namespace wasm {

constexpr int kLanePixels = 16;  // pixels of the lower halves of a vector's bytes, and of the upper ones
constexpr int kVectorPixels = 2 * kLanePixels;
constexpr int kVectors = kTilePixels / kVectorPixels;
// Tables that add up in half a byte: 3 of at most 4 stay below 16.
constexpr int kGroup = 3;
// Words whose tables are in the first-level cache together; sums of a byte stay below 256.
constexpr int kChunkWords = 6;
constexpr int kChunkNibbles = 8 * kChunkWords;
static_assert(kChunkNibbles % kGroup == 0 && 4 * kChunkNibbles < 256, "a chunk is whole groups and adds up in a byte");
// Those of whole chunks that add up in 16 bits.
constexpr int kShortNibbles = 65535 / (4 * kChunkNibbles) * kChunkNibbles;
// Fewer outputs do not pay for tables.
constexpr int kLeastOutputs = 8;

// u8[kVectors][16 values of the weights][16] of one nibble.
constexpr int kTableVector = 16 * 16;
constexpr int kTableBytes = kVectors * kTableVector;

// What lies in the workspace.
struct Workspace {
  uint8_t* nibbles;  // u8[kWords][8 nibbles][kVectors][16]: 4 bits of pixel p, and above them those of pixel p + 16
  uint8_t* tables;   // u8[kChunkNibbles][kVectors][16][16]
  uint8_t* weights;  // u8[4 outputs][kChunkNibbles]: where the entry for the weights begins in a table
  uint16_t* sums;    // u16[outputs][kTilePixels], then u32 of the same

  explicit Workspace(const TileJob& job) {
    nibbles = static_cast<uint8_t*>(job.workspace);
    tables = nibbles + static_cast<ptrdiff_t>(job.kStride) * 8 * kVectors * 16;
    weights = tables + kChunkNibbles * kTableBytes;
    sums = reinterpret_cast<uint16_t*>(weights + 4 * kChunkNibbles);
  }
};

static inline int vectors_of(const TileJob& job) { return (job.pixels + kVectorPixels - 1) / kVectorPixels; }

// The bits of a piece for the pixels of a run.
template <bool kIsFirst, bool kStraddles>
static inline void copy_bits(const uint32_t* source, uint32_t* target, int count, int shift) {
  int k = 0;
  for (; k + 4 <= count; k += 4, source = pinned(source + 4), target = pinned(target + 4)) {
    const v128_t word = wasm_v128_load(source);
    wasm_v128_store(target, kIsFirst ? word : wasm_v128_or(wasm_v128_load(target), wasm_i32x4_shl(word, shift)));
    if (kStraddles) wasm_v128_store(target + kTilePixels, wasm_u32x4_shr(word, 32 - shift));
  }
  for (; k < count; k++, source++, target++) {
    *target = kIsFirst ? *source : *target | *source << shift;
    if (kStraddles) target[kTilePixels] = *source >> (32 - shift);
  }
}

static void build_panel_vectors(const PanelJob& job) {
  for (int i = 0; i < job.pieceCount; i++) {
    const PanelPiece piece = job.pieces[i];
    uint32_t* row = job.panel + static_cast<ptrdiff_t>(piece.word) * kTilePixels;
    const auto copy = piece.shift == 0 ? copy_bits<true, false> : piece.straddles ? copy_bits<false, true> : copy_bits<false, false>;
    for (int j = 0; j < job.runCount; j++) {
      const PanelRun run = job.runs[j];
      copy(job.planes + piece.source + run.source, row + run.pixel, run.count, piece.shift);
    }
  }
}

// The bytes of 16 words: bytes[b][p] is byte b of word p.
static inline void split_words(const uint32_t* words, v128_t (&bytes)[4]) {
  const v128_t byte = wasm_i16x8_splat(0x00ff);
  v128_t even[2], odd[2];
  BNN_UNROLL
  for (int i = 0; i < 2; i++) {
    const v128_t a = wasm_v128_load(words + 8 * i), b = wasm_v128_load(words + 8 * i + 4);
    even[i] = wasm_u8x16_narrow_i16x8(wasm_v128_and(a, byte), wasm_v128_and(b, byte));
    odd[i] = wasm_u8x16_narrow_i16x8(wasm_u16x8_shr(a, 8), wasm_u16x8_shr(b, 8));
  }
  bytes[0] = wasm_u8x16_narrow_i16x8(wasm_v128_and(even[0], byte), wasm_v128_and(even[1], byte));
  bytes[1] = wasm_u8x16_narrow_i16x8(wasm_v128_and(odd[0], byte), wasm_v128_and(odd[1], byte));
  bytes[2] = wasm_u8x16_narrow_i16x8(wasm_u16x8_shr(even[0], 8), wasm_u16x8_shr(even[1], 8));
  bytes[3] = wasm_u8x16_narrow_i16x8(wasm_u16x8_shr(odd[0], 8), wasm_u16x8_shr(odd[1], 8));
}

static void prepare_nibbles(const TileJob& job) {
  uint8_t* target = Workspace(job).nibbles;
  const v128_t lower = wasm_i8x16_splat(15);
  const int vectors = vectors_of(job);
  for (int k = 0; k < job.kWords; k++, target += 8 * kVectors * 16) {
    for (int v = 0; v < vectors; v++) {
      const uint32_t* words = job.panel + k * kTilePixels + v * kVectorPixels;
      v128_t a[4], b[4];
      split_words(words, a);
      split_words(words + kLanePixels, b);
      BNN_UNROLL
      for (int i = 0; i < 4; i++) {
        uint8_t* to = target + (2 * i * kVectors + v) * 16;
        wasm_v128_store(to, wasm_v128_bitselect(a[i], wasm_i16x8_shl(b[i], 4), lower));
        wasm_v128_store(to + kVectors * 16, wasm_v128_bitselect(wasm_u16x8_shr(a[i], 4), b[i], lower));
      }
    }
  }
}

// sums[x] = the counts of two bits whose weights are x, from those of each bit.
static inline void add_two(v128_t first, v128_t second, v128_t (&sums)[4]) {
  const v128_t ones = wasm_i8x16_splat(0x11);
  const v128_t notFirst = wasm_v128_xor(first, ones), notSecond = wasm_v128_xor(second, ones);
  sums[0] = wasm_i8x16_add(first, second);
  sums[1] = wasm_i8x16_add(notFirst, second);
  sums[2] = wasm_i8x16_add(first, notSecond);
  sums[3] = wasm_i8x16_add(notFirst, notSecond);
}

static void make_tables(const uint8_t* nibbles, int count, int vectors, uint8_t* tables) {
  const v128_t ones = wasm_i8x16_splat(0x11);
  for (int i = 0; i < count; i++) {
    for (int v = 0; v < vectors; v++) {
      const v128_t bits = wasm_v128_load(nibbles + (i * kVectors + v) * 16);
      v128_t low[4], high[4];
      add_two(wasm_v128_and(bits, ones), wasm_v128_and(wasm_u16x8_shr(bits, 1), ones), low);
      add_two(wasm_v128_and(wasm_u16x8_shr(bits, 2), ones), wasm_v128_and(wasm_u16x8_shr(bits, 3), ones), high);
      uint8_t* table = pinned(tables + i * kTableBytes + v * kTableVector);
      BNN_UNROLL
      for (int h = 0; h < 4; h++) {
        BNN_UNROLL
        for (int l = 0; l < 4; l++) wasm_v128_store(table + (4 * h + l) * 16, wasm_i8x16_add(low[l], high[h]));
      }
    }
  }
}

// u8[4 outputs][kChunkNibbles]: 16 times the nibbles of the weights u32[words][4 outputs].
static void spread_weights(const uint32_t* weights, int words, uint8_t* target) {
  const v128_t upper = wasm_i8x16_splat(static_cast<int8_t>(0xf0));
  for (int k = 0; k < words; k++, target += 8) {
    const v128_t four = wasm_v128_load(weights + k * kTileOutputs);
    const v128_t low = wasm_v128_and(wasm_i16x8_shl(four, 4), upper), high = wasm_v128_and(four, upper);
    const v128_t first = wasm_i8x16_shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const v128_t second = wasm_i8x16_shuffle(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    wasm_v128_store64_lane(target, first, 0);
    wasm_v128_store64_lane(target + kChunkNibbles, first, 1);
    wasm_v128_store64_lane(target + 2 * kChunkNibbles, second, 0);
    wasm_v128_store64_lane(target + 3 * kChunkNibbles, second, 1);
  }
}

// Adds the counts of kNibbles tables: `all` sums of bytes modulo 256, `upper` those of their upper halves.
template <int kUsed, int kNibbles>
__attribute__((always_inline)) static inline void add_group(const uint8_t* tables, const uint8_t* weights, v128_t (&all)[kUsed],
                                                            v128_t (&upper)[kUsed]) {
  v128_t sum[kUsed];
  BNN_UNROLL
  for (int i = 0; i < kNibbles; i++) {
    const uint8_t* entry = pinned(tables + weights[i]);
    BNN_UNROLL
    for (int v = 0; v < kUsed; v++) {
      const v128_t found = wasm_v128_load(entry + i * kTableBytes + v * kTableVector);
      sum[v] = i == 0 ? found : wasm_i8x16_add(sum[v], found);
    }
  }
  BNN_UNROLL
  for (int v = 0; v < kUsed; v++) {
    all[v] = wasm_i8x16_add(all[v], sum[v]);
    upper[v] = wasm_i8x16_add(upper[v], wasm_v128_and(wasm_u16x8_shr(sum[v], 4), wasm_i8x16_splat(15)));
  }
}

template <bool kIsFirst>
static inline void add_shorts(v128_t bytes, uint16_t* sums) {
  const v128_t low = wasm_u16x8_extend_low_u8x16(bytes), high = wasm_u16x8_extend_high_u8x16(bytes);
  wasm_v128_store(sums, kIsFirst ? low : wasm_i16x8_add(wasm_v128_load(sums), low));
  wasm_v128_store(sums + 8, kIsFirst ? high : wasm_i16x8_add(wasm_v128_load(sums + 8), high));
}

// Adds the counts of up to a chunk of nibbles of one output to u16[kTilePixels], or sets them.
template <int kUsed, bool kIsFirst>
static inline void count(const uint8_t* tables, const uint8_t* weights, int nibbles, uint16_t* sums) {
  v128_t all[kUsed], upper[kUsed];
  BNN_UNROLL
  for (int v = 0; v < kUsed; v++) all[v] = upper[v] = wasm_i8x16_splat(0);
  const uint8_t* end = weights + nibbles;
  for (; end - weights >= kGroup; tables = pinned(tables + kGroup * kTableBytes), weights = pinned(weights + kGroup)) {
    add_group<kUsed, kGroup>(tables, weights, all, upper);
  }
  for (; weights < end; tables += kTableBytes, weights++) add_group<kUsed, 1>(tables, weights, all, upper);
  BNN_UNROLL
  for (int v = 0; v < kUsed; v++) {
    const v128_t worth = wasm_v128_and(wasm_i16x8_shl(upper[v], 4), wasm_i8x16_splat(static_cast<int8_t>(0xf0)));
    add_shorts<kIsFirst>(wasm_i8x16_sub(all[v], worth), sums + v * kVectorPixels);
    add_shorts<kIsFirst>(upper[v], sums + v * kVectorPixels + kLanePixels);
  }
}

// What follows the sum, as in Epilogue.
enum class Ending { kSign, kPlain, kAdd, kPRelu };

static inline Ending ending_of(const Epilogue& e) {
  if (e.threshold != nullptr) return Ending::kSign;
  if (e.slope != nullptr) return Ending::kPRelu;
  return e.residual != nullptr ? Ending::kAdd : Ending::kPlain;
}

// The epilogue of one output with its numbers in registers.
template <Ending kEnding>
struct VectorEpilogue {
  v128_t threshold, scale, bias, floor, slope, offset;

  VectorEpilogue(const Epilogue& e, int output) {
    if (kEnding == Ending::kSign) {
      threshold = wasm_v128_load32_splat(e.threshold + output);
      return;
    }
    scale = wasm_v128_load32_splat(e.scale + output);
    bias = wasm_v128_load32_splat(e.bias + output);
    floor = wasm_f32x4_splat(e.relu ? 0.0f : -__builtin_inff());
    if (kEnding != Ending::kPRelu) return;
    slope = wasm_v128_load32_splat(e.slope + output);
    offset = wasm_v128_load32_splat(e.offset + output);
  }

  // `residual`: of these pixels, or null.
  v128_t finish(v128_t acc, const float* residual) const {
    if (kEnding == Ending::kSign) {
      const v128_t sign = wasm_v128_and(wasm_f32x4_lt(acc, threshold), wasm_i32x4_splat(INT32_MIN));
      return wasm_v128_or(sign, wasm_f32x4_splat(1.0f));
    }
    v128_t z = wasm_f32x4_add(wasm_f32x4_mul(scale, wasm_f32x4_pmax(floor, acc)), bias);
    if (residual != nullptr) z = wasm_f32x4_add(z, wasm_v128_load(residual));
    if (kEnding != Ending::kPRelu) return z;
    const v128_t bent = wasm_v128_bitselect(wasm_f32x4_mul(slope, z), z, wasm_f32x4_lt(z, wasm_f32x4_splat(0)));
    return wasm_f32x4_add(bent, offset);
  }
};

// Of each four pixels of a tile: their class where all have the same one, otherwise −1.
struct SharedClasses {
  int32_t of[kTilePixels / 4];

  explicit SharedClasses(const int32_t* classes) {
    for (int i = 0; i < kTilePixels / 4; i++, classes += 4) {
      const bool same = classes[0] == classes[1] && classes[0] == classes[2] && classes[0] == classes[3];
      of[i] = same ? classes[0] : -1;
    }
  }
};

// Writes the pixels of one output of a convolution from their counts.
template <Ending kEnding>
static inline void finish_pixels(const TileJob& job, const uint16_t* counts, const SharedClasses& shared, int output) {
  const int pixels = job.pixels;
  const VectorEpilogue<kEnding> epilogue(job.epilogue, output);
  const float* base = job.base + static_cast<ptrdiff_t>(output) * job.classStride;
  const int32_t* classes = job.classes;
  const int32_t* same = shared.of;
  const ptrdiff_t at = output * job.outputStride;
  const float* residual = job.epilogue.residual != nullptr ? job.epilogue.residual + at : nullptr;
  float* y = job.y + at;
  const auto four = [&](const float* added) {
    const int32_t one = *same++;
    const v128_t bases = one >= 0 ? wasm_v128_load32_splat(base + one)
                                  : wasm_f32x4_make(base[classes[0]], base[classes[1]], base[classes[2]], base[classes[3]]);
    const v128_t pop = wasm_u32x4_load16x4(counts);
    const v128_t acc = wasm_f32x4_sub(bases, wasm_f32x4_convert_i32x4(wasm_i32x4_shl(pop, 1)));
    wasm_v128_store(y, epilogue.finish(acc, added));
    classes = pinned(classes + 4);
    counts += 4;
    y += 4;
  };
  int p = 0;
  if ((kEnding == Ending::kAdd || kEnding == Ending::kPRelu) && residual != nullptr) {
    for (; p + 4 <= pixels; p += 4, residual += 4) four(residual);
  } else {
    for (; p + 4 <= pixels; p += 4) four(nullptr);
  }
  for (; p < pixels; p++) finish_one(job, static_cast<int32_t>(*counts++), p, output);
}

template <Ending kEnding>
static void finish_as(const TileJob& job, const uint16_t* counts) {
  const SharedClasses shared(job.classes);
  for (int output = 0; output < job.outputs; output++, counts += kTilePixels) finish_pixels<kEnding>(job, counts, shared, output);
}

// counts: [outputs][kTilePixels]
template <typename Count>
static void finish_each(const TileJob& job, const Count* counts) {
  for (int output = 0; output < job.outputs; output++, counts += kTilePixels) {
    for (int p = 0; p < job.pixels; p++) finish_one(job, static_cast<int32_t>(counts[p]), p, output);
  }
}

static void finish(const TileJob& job, const uint16_t* counts) {
  if (job.pixelStride != 1) return finish_each(job, counts);
  switch (ending_of(job.epilogue)) {
    case Ending::kSign: return finish_as<Ending::kSign>(job, counts);
    case Ending::kPlain: return finish_as<Ending::kPlain>(job, counts);
    case Ending::kAdd: return finish_as<Ending::kAdd>(job, counts);
    case Ending::kPRelu: return finish_as<Ending::kPRelu>(job, counts);
  }
}

// The tables of a chunk, then what all outputs find there.
template <int kUsed, bool kIsFirst>
static void add_chunk(const TileJob& job, const Workspace& space, int first, uint16_t* sums) {
  const int left = job.kNibbles - first, nibbles = left < kChunkNibbles ? left : kChunkNibbles;
  make_tables(space.nibbles + static_cast<ptrdiff_t>(first) * kVectors * 16, nibbles, kUsed, space.tables);
  const uint32_t* weights = job.weights + first / 8 * kTileOutputs;
  for (int output = 0; output < job.outputs; output += kTileOutputs, weights += static_cast<ptrdiff_t>(job.kStride) * kTileOutputs) {
    spread_weights(weights, (nibbles + 7) / 8, space.weights);
    for (int q = 0; q < kTileOutputs && output + q < job.outputs; q++) {
      count<kUsed, kIsFirst>(space.tables, space.weights + q * kChunkNibbles, nibbles, sums + (output + q) * kTilePixels);
    }
  }
}

// Counts that do not fit 16 bits are kept in 32, behind those that are being added up.
template <int kUsed>
static void compute_wide(const TileJob& job, const Workspace& space) {
  const int sums = job.outputs * kTilePixels;
  uint32_t* wide = reinterpret_cast<uint32_t*>(space.sums + sums);
  __builtin_memset(wide, 0, static_cast<size_t>(sums) * 4);
  for (int first = 0; first < job.kNibbles;) {
    __builtin_memset(space.sums, 0, static_cast<size_t>(sums) * 2);
    const int left = job.kNibbles - first, end = left < kShortNibbles ? job.kNibbles : first + kShortNibbles;
    for (; first < end; first += kChunkNibbles) add_chunk<kUsed, false>(job, space, first, space.sums);
    for (int i = 0; i < sums; i++) wide[i] += space.sums[i];
  }
  finish_each(job, wide);
}

template <int kUsed>
static void compute_vectors(const TileJob& job) {
  const Workspace space(job);
  if (job.kNibbles > kShortNibbles) return compute_wide<kUsed>(job, space);
  add_chunk<kUsed, true>(job, space, 0, space.sums);
  for (int first = kChunkNibbles; first < job.kNibbles; first += kChunkNibbles) add_chunk<kUsed, false>(job, space, first, space.sums);
  finish(job, space.sums);
}

static void compute_counting(const TileJob& job) {
  for (int output = 0; output < job.outputs; output += kTileOutputs) {
    for (int pixel = 0; pixel < job.pixels; pixel += kTileVectors * kLanes) vectors(job, pixel, output);
  }
}

static void compute_best(const TileJob& job) {
  if (job.outputs < kLeastOutputs && job.pixelStride == 1) {
    compute_counting(job);
  } else if (vectors_of(job) == 1) {
    compute_vectors<1>(job);
  } else {
    compute_vectors<2>(job);
  }
}

}  // namespace wasm

extern const BinaryTileRow binary_tile_row_wasm;
const BinaryTileRow binary_tile_row_wasm = {"wasm", wasm::build_panel_vectors, wasm::prepare_nibbles, wasm::compute_best,
                                            wasm::store_pixels};

}  // namespace bnn
