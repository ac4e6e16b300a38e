#include <wasm_simd128.h>

#define BNN_ISA wasm
#define BNN_VECTOR_FLOATS 4
#include "kernels/binarize/binarize.inl.h"
#include "simd/vec.h"

namespace bnn {
namespace wasm {

// 32 pixels at a time: a comparison gives ones or zeros, of which the channel's bit is kept.
static void channels_first_vectors(const float* x, const float* least, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  constexpr int kVectors = 8;
  int p = 0;
  for (; p + 4 * kVectors <= pixels; p += 4 * kVectors) {
    v128_t word[kVectors];
    for (int v = 0; v < kVectors; v++) word[v] = wasm_i32x4_splat(0);
    const float* source = x + p;
    v128_t bit = wasm_i32x4_splat(1);
    for (int c = 0; c < channels; c++, source = pinned(source + stride)) {
      const v128_t threshold = wasm_v128_load32_splat(least + c);
      for (int v = 0; v < kVectors; v++) {
        word[v] = wasm_v128_or(word[v], wasm_v128_and(wasm_f32x4_ge(wasm_v128_load(source + 4 * v), threshold), bit));
      }
      bit = wasm_i32x4_shl(bit, 1);
    }
    for (int v = 0; v < kVectors; v++) wasm_v128_store(words + p + 4 * v, word[v]);
  }
  for (; p + 4 <= pixels; p += 4) {
    v128_t word = wasm_i32x4_splat(0), bit = wasm_i32x4_splat(1);
    for (int c = 0; c < channels; c++, bit = wasm_i32x4_shl(bit, 1)) {
      const v128_t values = wasm_v128_load(x + c * stride + p);
      word = wasm_v128_or(word, wasm_v128_and(wasm_f32x4_ge(values, wasm_v128_load32_splat(least + c)), bit));
    }
    wasm_v128_store(words + p, word);
  }
  if (p < pixels) channels_first(x + p, least, channels, stride, pixels - p, words + p);
}

}  // namespace wasm

extern const BinarizeRow binarize_row_wasm;
const BinarizeRow binarize_row_wasm = {"wasm", wasm::channels_first_vectors, wasm::channels_last, wasm::row, wasm::sign};

}  // namespace bnn
