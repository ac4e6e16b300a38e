#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/binary_weight/float_tile.inl.h"

namespace bnn {
extern const FloatTileRow float_tile_row_avx512;
const FloatTileRow float_tile_row_avx512 = {"avx512", avx512::multiply, avx512::copy_runs, avx512::finish};
}  // namespace bnn
