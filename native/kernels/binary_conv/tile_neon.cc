// ARM: `cnt` counts the bits of every byte.
#include <arm_neon.h>

#include "kernels/binary_conv/tile.h"

#define BNN_ISA neon
#define BNN_VECTOR_BYTES 16
#define BNN_VECTOR_FLOATS 4
// Of the 32 registers half are sums: a weight is spread over a vector for four products, which takes a vector instruction itself.
#define BNN_TILE_VECTORS 4

namespace bnn {
namespace neon {

typedef uint32_t Words __attribute__((vector_size(16)));

static inline Words popcount_bytes(Words v) { return reinterpret_cast<Words>(vcntq_u8(reinterpret_cast<uint8x16_t>(v))); }

}  // namespace neon
}  // namespace bnn

#include "kernels/binary_conv/tile.inl.h"
#include "kernels/binary_conv/tile_store.inl.h"

namespace bnn {
extern const BinaryTileRow binary_tile_row_neon;
const BinaryTileRow binary_tile_row_neon = {"neon", neon::build_panel, neon::prepare, neon::compute, neon::store_pixels};
}  // namespace bnn
