#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4

#include "kernels/int8_conv/int8_conv_plain.inl.h"

namespace bnn {
extern const Int8ConvRow int8_conv_row_neon;
const Int8ConvRow int8_conv_row_neon = {"neon", neon::quantize, neon::share, neon::sums, neon::pool};
}  // namespace bnn
