// Tiles on the vector extensions of GCC and Clang, for instruction sets that count bits in bytes.
//
// The including file defines BNN_ISA (a namespace) and BNN_VECTOR_BYTES (16 or 32), and in that namespace, before the include,
// `Words popcount_bytes(Words)`; it may define BNN_TILE_VECTORS, how many vectors of pixels sums of four outputs are kept of in registers.
// Counts of bytes are added up in bytes, which holds for kFlush words.
#pragma once

#include "kernels/binary_conv/tile.h"

#if !defined(BNN_TILE_VECTORS)
#define BNN_TILE_VECTORS 2
#endif

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 8")

namespace bnn {
namespace BNN_ISA {

constexpr int kLanes = BNN_VECTOR_BYTES / 4;
constexpr int kFlush = 31;
constexpr int kTileVectors = BNN_TILE_VECTORS;
constexpr int kMaxColumns = 4;
// Words of one output in a vector of the weights' layout [words][4 outputs].
constexpr int kColumnWords = kLanes / kTileOutputs;

typedef uint32_t WordsUnaligned __attribute__((vector_size(BNN_VECTOR_BYTES), aligned(4), may_alias));

static inline Words load(const uint32_t* p) { return *reinterpret_cast<const WordsUnaligned*>(p); }

// Adds the four bytes of each word.
static inline Words add_bytes(Words bytes) {
  const Words pairs = (bytes & 0x00ff00ffu) + (bytes >> 8 & 0x00ff00ffu);
  return (pairs & 0xffffu) + (pairs >> 16);
}

[[maybe_unused]] static void build_panel(const PanelJob& job) {
  for (int i = 0; i < job.pieceCount; i++) {
    const PanelPiece piece = job.pieces[i];
    uint32_t* row = job.panel + static_cast<ptrdiff_t>(piece.word) * kTilePixels;
    for (int j = 0; j < job.runCount; j++) {
      const PanelRun run = job.runs[j];
      const uint32_t* source = job.planes + piece.source + run.source;
      uint32_t* target = row + run.pixel;
      if (piece.shift == 0) {
        for (int k = 0; k < run.count; k++) target[k] = source[k];
        continue;
      }
      for (int k = 0; k < run.count; k++) target[k] |= source[k] << piece.shift;
      if (!piece.straddles) continue;
      for (int k = 0; k < run.count; k++) target[kTilePixels + k] = source[k] >> (32 - piece.shift);
    }
  }
}

// `at`: of the result in y and in the residual.
static inline float finish(const Epilogue& e, float acc, int output, ptrdiff_t at) {
  if (e.threshold != nullptr) return acc >= e.threshold[output] ? 1.0f : -1.0f;
  if (e.relu && acc < 0.0f) acc = 0.0f;
  const float scaled = e.scale[output] * acc;
  float z = scaled + e.bias[output];
  if (e.residual != nullptr) z = z + e.residual[at];
  if (e.slope == nullptr) return z;
  const float bent = z < 0.0f ? e.slope[output] * z : z;
  return bent + e.offset[output];
}

static inline void finish_one(const TileJob& job, int32_t pop, int pixel, int output) {
  const float base = job.base[static_cast<ptrdiff_t>(output) * job.classStride + job.classes[pixel]];
  const ptrdiff_t at = output * job.outputStride + pixel * job.pixelStride;
  job.y[at] = finish(job.epilogue, base - static_cast<float>(2 * pop), output, at);
}

// `count` neighbouring pixels of a convolution. The loops are apart so that each becomes a loop over vectors.
static inline void finish_row(const TileJob& job, const int32_t* pop, int pixel, int count, int output) {
  const Epilogue& e = job.epilogue;
  const float* base = job.base + static_cast<ptrdiff_t>(output) * job.classStride;
  const ptrdiff_t at = output * job.outputStride + pixel;
  float* y = job.y + at;
  if (e.threshold != nullptr) {
    const float threshold = e.threshold[output];
    for (int i = 0; i < count; i++) {
      y[i] = base[job.classes[pixel + i]] - static_cast<float>(2 * pop[i]) >= threshold ? 1.0f : -1.0f;
    }
    return;
  }
  const float scale = e.scale[output], bias = e.bias[output];
  const float floor = e.relu ? 0.0f : -__builtin_inff();
  for (int i = 0; i < count; i++) {
    const float acc = base[job.classes[pixel + i]] - static_cast<float>(2 * pop[i]);
    y[i] = scale * (acc > floor ? acc : floor) + bias;
  }
  if (e.residual != nullptr) {
    for (int i = 0; i < count; i++) y[i] += e.residual[at + i];
  }
  if (e.slope == nullptr) return;
  const float slope = e.slope[output], offset = e.offset[output];
  for (int i = 0; i < count; i++) y[i] = (y[i] < 0.0f ? slope * y[i] : y[i]) + offset;
}

// kTileVectors vectors of pixels × 4 outputs.
static inline void vectors(const TileJob& job, int pixel, int output) {
  Words pop[kTileVectors][kTileOutputs] = {};
  const uint32_t* data = job.panel + pixel;
  const uint32_t* weights = job.weights + static_cast<ptrdiff_t>(output) * job.kStride;
  for (int begin = 0; begin < job.kWords; begin += kFlush) {
    const int end = job.kWords - begin < kFlush ? job.kWords : begin + kFlush;
    Words bytes[kTileVectors][kTileOutputs] = {};
    for (int k = begin; k < end; k++) {
      Words x[kTileVectors];
      BNN_UNROLL
      for (int v = 0; v < kTileVectors; v++) x[v] = load(data + k * kTilePixels + v * kLanes);
      BNN_UNROLL
      for (int q = 0; q < kTileOutputs; q++) {
        const uint32_t w = weights[k * kTileOutputs + q];
        BNN_UNROLL
        for (int v = 0; v < kTileVectors; v++) bytes[v][q] += reinterpret_cast<Words>(popcount_bytes(x[v] ^ w));
      }
    }
    BNN_UNROLL
    for (int v = 0; v < kTileVectors; v++) {
      BNN_UNROLL
      for (int q = 0; q < kTileOutputs; q++) pop[v][q] += add_bytes(bytes[v][q]);
    }
  }
  const int left = job.pixels - pixel;
  const int count = left < kTileVectors * kLanes ? left : kTileVectors * kLanes;
  for (int q = 0; q < kTileOutputs && output + q < job.outputs; q++) {
    int32_t counts[kTileVectors * kLanes];
    BNN_UNROLL
    for (int v = 0; v < kTileVectors; v++) {
      for (int i = 0; i < kLanes; i++) counts[v * kLanes + i] = static_cast<int32_t>(pop[v][q][i]);
    }
    finish_row(job, counts, pixel, count, output + q);
  }
}

// Up to kMaxColumns pixels × 4 outputs; vectors run along [words][outputs] of the weights, so no lane is idle.
template <int kColumns>
static inline void columns(const TileJob& job, const uint32_t* data, int pixel, int output) {
  Words pop[kColumns] = {};
  const uint32_t* weights = job.weights + static_cast<ptrdiff_t>(output) * job.kStride;
  const int steps = job.kStride / kColumnWords;
  for (int begin = 0; begin < steps; begin += kFlush) {
    const int end = steps - begin < kFlush ? steps : begin + kFlush;
    Words bytes[kColumns] = {};
    for (int k = begin; k < end; k++) {
      const Words w = load(weights + k * kLanes);
      BNN_UNROLL
      for (int c = 0; c < kColumns; c++) {
        bytes[c] += reinterpret_cast<Words>(popcount_bytes(load(data + (k * kColumns + c) * kLanes) ^ w));
      }
    }
    BNN_UNROLL
    for (int c = 0; c < kColumns; c++) pop[c] += add_bytes(bytes[c]);
  }
  BNN_UNROLL
  for (int c = 0; c < kColumns; c++) {
    for (int q = 0; q < kTileOutputs && output + q < job.outputs; q++) {
      uint32_t sum = 0;
      for (int i = q; i < kLanes; i += kTileOutputs) sum += pop[c][i];
      finish_one(job, static_cast<int32_t>(sum), pixel + c, output + q);
    }
  }
}

// u32[kStride / kColumnWords][columns][kColumnWords words][4 times the same], for pixels from `first` on.
static void prepare_columns(const TileJob& job, int first) {
  uint32_t* target = static_cast<uint32_t*>(job.workspace);
  for (int begin = first; begin < job.pixels; begin += kMaxColumns) {
    const int count = job.pixels - begin < kMaxColumns ? job.pixels - begin : kMaxColumns;
    for (int k = 0; k < job.kStride; k += kColumnWords) {
      for (int c = 0; c < count; c++) {
        for (int i = 0; i < kColumnWords; i++) {
          const uint32_t word = k + i < job.kWords ? job.panel[(k + i) * kTilePixels + begin + c] : 0;
          for (int q = 0; q < kTileOutputs; q++) *target++ = word;
        }
      }
    }
  }
}

[[maybe_unused]] static void compute_columns(const TileJob& job) {
  for (int output = 0; output < job.outputs; output += kTileOutputs) {
    const uint32_t* data = static_cast<const uint32_t*>(job.workspace);
    for (int pixel = 0; pixel < job.pixels; pixel += kMaxColumns) {
      switch (job.pixels - pixel) {
        case 1: columns<1>(job, data, pixel, output); break;
        case 2: columns<2>(job, data, pixel, output); break;
        case 3: columns<3>(job, data, pixel, output); break;
        default: columns<4>(job, data, pixel, output); break;
      }
      data += static_cast<ptrdiff_t>(job.kStride) * kTileOutputs * kMaxColumns;
    }
  }
}

[[maybe_unused]] static void prepare(const TileJob& job) {
  if (job.pixelStride != 1) prepare_columns(job, 0);
}

[[maybe_unused]] static void compute(const TileJob& job) {
  if (job.pixelStride != 1) {
    compute_columns(job);
    return;
  }
  for (int output = 0; output < job.outputs; output += kTileOutputs) {
    for (int pixel = 0; pixel < job.pixels; pixel += kTileVectors * kLanes) vectors(job, pixel, output);
  }
}

}  // namespace BNN_ISA
}  // namespace bnn
