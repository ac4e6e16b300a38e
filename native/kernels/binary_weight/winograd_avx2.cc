#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/binary_weight/winograd.inl.h"

namespace bnn {
extern const WinogradTileRow winograd_tile_row_avx2;
const WinogradTileRow winograd_tile_row_avx2 = {avx2::winograd_input, avx2::winograd_output, avx2::widen};
}  // namespace bnn
