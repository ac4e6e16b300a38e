#include "kernels/binarize/dispatch.h"
#include "kernels/binary_conv/binary_conv.h"
#include "simd/isa.h"

namespace bnn {

BNN_BINARY_ISAS(BNN_DECLARE_ROW, BinaryTileRow, binary_tile_row)
BNN_BINARY_ISAS(BNN_DECLARE_ROW, BinarizeRow, binarize_row)

namespace {

constexpr KernelRow<BinaryTileRow> kTiles[] = {BNN_BINARY_ISAS(BNN_KERNEL_ROW, , binary_tile_row)};
constexpr KernelRow<BinarizeRow> kBinarizers[] = {BNN_BINARY_ISAS(BNN_KERNEL_ROW, , binarize_row)};

}  // namespace

const BinaryTileRow& binary_tile_row() { return active_row(kTiles); }
const BinarizeRow& binarize_row() { return active_row(kBinarizers); }
const BinaryTileRow& binary_tile_row(CpuFlags flags) { return choose_row(kTiles, flags); }

}  // namespace bnn
