#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/binary_weight/float_tile.inl.h"

namespace bnn {
extern const FloatTileRow float_tile_row_avx2;
const FloatTileRow float_tile_row_avx2 = {"avx2", avx2::multiply, avx2::copy_runs, avx2::finish};
}  // namespace bnn
