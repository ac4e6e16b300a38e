#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/binary_weight/winograd.inl.h"

namespace bnn {
extern const WinogradTileRow winograd_tile_row_scalar;
const WinogradTileRow winograd_tile_row_scalar = {scalar::winograd_input, scalar::winograd_output, scalar::widen};
}  // namespace bnn
