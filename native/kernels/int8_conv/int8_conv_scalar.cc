#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4

#include "kernels/int8_conv/int8_conv_plain.inl.h"

namespace bnn {
extern const Int8ConvRow int8_conv_row_scalar;
const Int8ConvRow int8_conv_row_scalar = {"scalar", scalar::quantize, scalar::share, scalar::sums, scalar::pool};
}  // namespace bnn
