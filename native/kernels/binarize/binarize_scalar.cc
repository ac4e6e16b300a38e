#define BNN_ISA scalar
#include "kernels/binarize/binarize.inl.h"

namespace bnn {
extern const BinarizeRow binarize_row_scalar;
const BinarizeRow binarize_row_scalar = {"scalar", scalar::channels_first, scalar::channels_last, scalar::row, scalar::sign};
}  // namespace bnn
