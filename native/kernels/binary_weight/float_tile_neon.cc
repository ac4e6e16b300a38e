#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/binary_weight/float_tile.inl.h"

namespace bnn {
extern const FloatTileRow float_tile_row_neon;
const FloatTileRow float_tile_row_neon = {"neon", neon::multiply, neon::copy_runs, neon::finish};
}  // namespace bnn
