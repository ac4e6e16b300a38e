// The innermost part of binary convolutions and binary dense layers.
//
//     pop(o, p) = Σ_k popcount(panel(k, p) XOR weights(o, k))
//     acc(o, p) = base(o, class(p)) − 2 · pop(o, p)
//     y(o, p)   = what the epilogue makes of it
//
// A "pixel" is an output position of a convolution or a row of a dense layer. The 32-bit word k of a pixel holds 32 of the bits
// that its outputs see, in the order (kernel row, kernel column, channel); pad bits are 0 on both sides. `base` is the number of
// valid bits, plus what makes up for positions in the zero padding: their bits are 0, that is −1, in the panel, and adding the
// sum of the weights there cancels them. How many kinds of positions there are depends on the border only, hence "class".
// acc is computed in float32, where it is exact (kMaxBits).
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnn {

constexpr int kTilePixels = 64;
constexpr int kTileOutputs = 4;
// Up to this many classes their bases fit one vector register.
constexpr int kSmallClasses = 16;

// One piece of a panel: the bits that one tap of the kernel and one word of the channels contribute to each pixel.
struct PanelPiece {
  ptrdiff_t source;  // offset of the tap's word from the pixel's origin in the padded planes
  int32_t word;      // row of the panel where the bits begin …
  int32_t shift;     // … and how far they move up
  bool straddles;    // whether some go on into the next row
};

// Neighbouring pixels of a block whose origins are neighbours too.
struct PanelRun {
  ptrdiff_t source;
  int32_t pixel;
  int32_t count;
};

struct PanelJob {
  const uint32_t* planes;
  const PanelPiece* pieces;
  int pieceCount;
  const PanelRun* runs;
  int runCount;
  uint32_t* panel;  // u32[kWords][kTilePixels]; columns beyond the pixels stay undefined
};

// What becomes of the accumulators, all in float32 operations that are rounded one by one, as in the function body:
//
//     z = scale(o) · e(acc) + bias(o) (+ residual),   e = identity or max(·, 0)
//     y = z,  or (z < 0 ? slope(o) · z : z) + offset(o) where slope is not null
//     y = acc >= threshold(o) ? 1 : −1                where threshold is not null; nothing else is read then
struct Epilogue {
  // f32[outputs]; a tile reads whole groups of kTileOutputs.
  const float* scale;
  const float* bias;
  bool relu;
  const float* residual;  // like y, or null
  const float* slope;     // with offset, or both null
  const float* offset;
  const float* threshold;
};

struct TileJob {
  const uint32_t* panel;
  void* workspace;  // tile_workspace_bytes(kStride, outputs), for `prepare`
  int kWords;
  int kStride;              // kWords rounded up to a multiple of 4
  int kNibbles;             // 4-bit parts of the words that have bits
  int pixels;               // 1 to kTilePixels
  const uint32_t* weights;  // u32[⌈outputs / 4⌉][kStride][4], at the start of a cache line; words from kWords on are 0
  const uint32_t* triples;  // likewise, with the xor of each three words in place of the third; null in WebAssembly
  int outputs;
  const float* base;       // integers, f32[outputs rounded up to 4][classStride]
  int classStride;         // at least kSmallClasses
  bool smallClasses;       // every class is below kSmallClasses
  const int32_t* classes;  // i32[kTilePixels], a valid class in each
  Epilogue epilogue;
  float* y;                // of the first output and pixel; null where bits are all that is wanted
  ptrdiff_t outputStride;  // in elements, of y and the residual
  ptrdiff_t pixelStride;   // 1 for convolutions; otherwise outputStride is 1
  // Rows with `writesBits`, convolutions only: bit o % 32 of bits[o / 32 · bitsStride + p] = y(o, p) >= bitLeast(o); the first output is
  // a multiple of 32, and bits beyond the last one are 0. Null where floats are all that is wanted.
  uint32_t* bits;
  ptrdiff_t bitsStride;
  const float* bitLeast;  // f32[outputs], read in whole groups of kTileOutputs; null stands for zeros
  // i32, like base: where y is null and the epilogue has thresholds, +1 is where pop(o, p) <= most(o, class(p)), for rows that want it so.
  const int32_t* most;
};

// Results of up to kTilePixels pixels, as `compute` leaves them with outputStride kTilePixels and pixelStride 1.
struct StoreJob {
  const float* tile;  // f32[outputs rounded up to 16][kTilePixels]
  int outputs;
  int pixels;
  float* y;  // f32[pixels][pixelStride], of which `outputs` are written
  ptrdiff_t pixelStride;
};

struct BinaryTileRow {
  const char* name;
  void (*build_panel)(const PanelJob& job);
  // Brings the panel into the form that `compute` of this row wants; once per panel.
  void (*prepare)(const TileJob& job);
  void (*compute)(const TileJob& job);
  // Transposes results: channels last.
  void (*store)(const StoreJob& job);
  bool writesBits = false;
};

// For tiles of up to `outputs` outputs.
constexpr size_t tile_workspace_bytes([[maybe_unused]] int kStride, [[maybe_unused]] int64_t outputs) {
  const size_t bytes = static_cast<size_t>(kStride) * 1024;
#if defined(__wasm_simd128__)
  // Tables, and sums of 16 and of 32 bits.
  return bytes + 24 * 1024 + 256 + static_cast<size_t>(outputs) * kTilePixels * 6;
#else
  return bytes;
#endif
}

}  // namespace bnn
