#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/binary_weight/winograd.inl.h"

namespace bnn {
extern const WinogradTileRow winograd_tile_row_avx512;
const WinogradTileRow winograd_tile_row_avx512 = {avx512::winograd_input, avx512::winograd_output, avx512::widen};
}  // namespace bnn
