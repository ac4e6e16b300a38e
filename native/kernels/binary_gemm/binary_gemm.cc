#include "kernels/binary_gemm/binary_gemm.h"

#include <algorithm>

#include "kernels/binarize/dispatch.h"
#include "memory/scratch_pool.h"
#include "threading/claim.h"

namespace bnn {
namespace {

// Rows of x that share one pass over the weights; their expanded form stays in the first-level cache.
constexpr int kRows = 8;
// Outputs of one piece of work.
constexpr int64_t kOutputs = 128;

}  // namespace

void binary_gemm(const BinaryConvShape& s, const BinaryWeights& weights, const BinaryConvPlan& plan, const BinaryGemmCall& call,
                 const Parallel& parallel) {
  static_assert(kRows <= kTilePixels && kOutputs % kTileOutputs == 0, "a block is a tile of pixels");
  const BinaryTileRow& row = binary_tile_row();
  const int64_t rowBlocks = (call.rows + kRows - 1) / kRows, outputBlocks = (s.outputs + kOutputs - 1) / kOutputs;
  const size_t panelWords = static_cast<size_t>(weights.kStride + 1) * kTilePixels;
  const size_t workspaceWords = tile_workspace_bytes(weights.kStride, kOutputs) / 4;
  const int32_t classes[kTilePixels] = {};
  const int64_t work = call.rows * s.outputs * weights.kWords / 16;
  claim_all(parallel, rowBlocks * outputBlocks, work, [&](const auto& claim) {
    Scratch scratch((panelWords + workspaceWords + static_cast<size_t>(weights.kStride)) * 4);
    uint32_t* panel = scratch.as<uint32_t>();
    uint32_t* bits = panel + panelWords + workspaceWords;
    int64_t built = -1;
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t block = piece / outputBlocks, firstRow = block * kRows, firstOutput = piece % outputBlocks * kOutputs;
      const int64_t at = firstRow * s.outputs + firstOutput;
      TileJob job{};
      job.panel = panel;
      job.workspace = panel + panelWords;
      job.kWords = weights.kWords;
      job.kStride = weights.kStride;
      job.kNibbles = static_cast<int>((s.channels + 3) / 4);
      job.pixels = static_cast<int>(std::min<int64_t>(kRows, call.rows - firstRow));
      job.weights = weights.words.data() + firstOutput * weights.kStride;
      if (weights.triples.size() > 0) job.triples = weights.triples.data() + firstOutput * weights.kStride;
      job.outputs = static_cast<int>(std::min(kOutputs, s.outputs - firstOutput));
      job.base = plan.base.data() + firstOutput * plan.classStride;
      job.classStride = plan.classStride;
      job.smallClasses = true;
      job.classes = classes;
      job.epilogue = epilogue_from(call.epilogue, firstOutput, at);
      job.y = call.y + at;
      job.outputStride = 1;
      job.pixelStride = s.outputs;
      if (built != block) {
        for (int m = 0; m < job.pixels; m++) {
          binarize_row().row(call.x + (firstRow + m) * s.channels, s.channels, bits);
          for (int k = 0; k < weights.kWords; k++) panel[k * kTilePixels + m] = bits[k];
        }
        row.prepare(job);
        built = block;
      }
      row.compute(job);
    }
  });
}

}  // namespace bnn
