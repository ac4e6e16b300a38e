// No instruction set in particular: bits are counted by the classic sums of ever wider fields, in WebAssembly by its instruction.
#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#include "kernels/binary_conv/tile.h"

#define BNN_ISA scalar
#define BNN_VECTOR_BYTES 16
#define BNN_VECTOR_FLOATS 4

namespace bnn {
namespace scalar {

typedef uint32_t Words __attribute__((vector_size(16)));

static inline Words popcount_bytes(Words v) {
#if defined(__wasm_simd128__)
  return reinterpret_cast<Words>(wasm_i8x16_popcnt(reinterpret_cast<v128_t>(v)));
#else
  v -= v >> 1 & 0x55555555u;
  v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
  return (v + (v >> 4)) & 0x0f0f0f0fu;
#endif
}

}  // namespace scalar
}  // namespace bnn

#include "kernels/binary_conv/tile.inl.h"
#include "kernels/binary_conv/tile_store.inl.h"

namespace bnn {
extern const BinaryTileRow binary_tile_row_scalar;
const BinaryTileRow binary_tile_row_scalar = {"scalar", scalar::build_panel, scalar::prepare, scalar::compute, scalar::store_pixels};
}  // namespace bnn
