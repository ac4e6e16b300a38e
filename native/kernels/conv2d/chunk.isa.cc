// The register tiles of floats.
#include "kernels/conv2d/chunk.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

inline V add_product(V sum, V x, V b) { return sum + x * b; }

}  // namespace
}  // namespace BNN_ISA
}  // namespace bnn

#include "kernels/conv2d/chunk.inl.h"

namespace bnn {

BNN_DEFINE_ROW(ConvRow, conv_row) = {BNN_ISA::W, BNN_ISA::kPanelVectors, BNN_ISA::forward, BNN_ISA::filter_grad};

}  // namespace bnn
