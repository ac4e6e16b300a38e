#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/binary_weight/winograd.inl.h"

namespace bnn {
extern const WinogradTileRow winograd_tile_row_neon;
const WinogradTileRow winograd_tile_row_neon = {neon::winograd_input, neon::winograd_output, neon::widen};
}  // namespace bnn
