#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/binary_weight/float_tile.inl.h"

namespace bnn {
extern const FloatTileRow float_tile_row_scalar;
const FloatTileRow float_tile_row_scalar = {"scalar", scalar::multiply, scalar::copy_runs, scalar::finish};
}  // namespace bnn
