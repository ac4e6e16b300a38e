// Two passes: signs into padded planes of bits, then block after block of output pixels.
#include "kernels/binary_conv/binary_conv.h"

#include <algorithm>

#include "kernels/binarize/dispatch.h"
#include "memory/scratch_pool.h"
#include "threading/claim.h"

namespace bnn {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Rows [begin, end) of one padded plane.
void pack_rows(const BinaryConvShape& s, const ConvLayout& layout, const float* x, int channels, int64_t begin, int64_t end,
               uint32_t* plane) {
  const int64_t first = std::clamp<int64_t>(begin - s.pads[0], 0, layout.height) * layout.width;
  const int64_t last = std::clamp<int64_t>(end - s.pads[0], 0, layout.height) * layout.width;
  const ptrdiff_t channelStride = layout.height * layout.width;
  clear_padding(s, layout, begin, end, plane);
  constexpr int64_t kChunk = 512;
  uint32_t words[kChunk];
  for (int64_t at = first; at < last; at += kChunk) {
    const int64_t count = std::min(kChunk, last - at);
    binarize_row().channels_first(x + at, channels, channelStride, static_cast<int>(count), words);
    scatter(s, layout, words, at, count, plane);
  }
}

void pack_images(const BinaryConvShape& s, const BinaryConvPlan& plan, const BinaryConvCall& call, const Parallel& parallel,
                 uint32_t* planes) {
  const ConvLayout& layout = plan.layout;
  const int64_t perImage = s.groups * plan.channelWords;
  // Two or more pieces of a plane only where there are few planes.
  const int64_t bands = call.batch * perImage >= 8 ? 1 : std::min<int64_t>(layout.paddedHeight, 8);
  const int64_t work = call.batch * s.groups * s.channels * layout.height * layout.width / 8;
  claim_all(parallel, call.batch * perImage * bands, work, [&](const auto& claim) {
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t band = piece % bands, plane = piece / bands, word = plane % plan.channelWords;
      const int64_t channel = plane / plan.channelWords * s.channels + 32 * word;
      const int channels = static_cast<int>(std::min<int64_t>(32, s.channels - 32 * word));
      pack_rows(s, layout, call.x + channel * layout.height * layout.width, channels, layout.paddedHeight * band / bands,
                layout.paddedHeight * (band + 1) / bands, planes + plane * layout.planeWords);
    }
  });
}

void classes_of(const BinaryConvPlan& plan, int64_t begin, int count, int32_t* classes) {
  int64_t row = begin / plan.layout.outWidth, column = begin % plan.layout.outWidth;
  for (int i = 0; i < count; i++) {
    classes[i] = plan.rowClass[static_cast<size_t>(row)] + plan.columnClass[static_cast<size_t>(column)];
    if (++column < plan.layout.outWidth) continue;
    column = 0;
    row++;
  }
  std::fill(classes + count, classes + kTilePixels, classes[0]);
}

}  // namespace

void binary_conv(const BinaryConvShape& s, const BinaryWeights& weights, const BinaryConvPlan& plan, const BinaryConvCall& call,
                 const Parallel& parallel) {
  const BinaryTileRow& row = binary_tile_row();
  const ConvLayout& layout = plan.layout;
  const int64_t pixels = layout.pixels(), blocks = ceil_div(pixels, kTilePixels);
  const int64_t perGroup = s.outputs / s.groups;
  const ptrdiff_t groupWords = plan.channelWords * layout.planeWords;
  Scratch planes(static_cast<size_t>(call.batch * s.groups * groupWords + 16) * 4);
  pack_images(s, plan, call, parallel, planes.as<uint32_t>());

  // Few blocks are shared out by output channels too.
  const int64_t panels = call.batch * s.groups * blocks;
  const int64_t splits = std::clamp<int64_t>(ceil_div(8, panels), 1, std::max<int64_t>(1, perGroup / 32));
  const int64_t splitOutputs = ceil_div(ceil_div(perGroup, splits), kTileOutputs) * kTileOutputs;
  const int64_t work = panels * kTilePixels * perGroup * weights.kWords / 16;
  claim_all(parallel, panels * splits, work, [&](const auto& claim) {
    const size_t panelWords = static_cast<size_t>(weights.kStride + 1) * kTilePixels;
    Scratch scratch(panelWords * 4 + tile_workspace_bytes(weights.kStride));
    uint32_t* panel = scratch.as<uint32_t>();
    PanelRun runs[kTilePixels];
    int32_t classes[kTilePixels];
    int64_t built = -1;
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t index = piece / splits, block = index % blocks, image = index / blocks, group = image % s.groups;
      const int64_t first = block * kTilePixels, output = piece % splits * splitOutputs;
      if (output >= perGroup) continue;
      const int64_t padded = group * weights.groupOutputs + output;
      const ptrdiff_t at = (image / s.groups * s.outputs + group * perGroup + output) * pixels + first;
      TileJob job{};
      job.panel = panel;
      job.workspace = panel + panelWords;
      job.kWords = weights.kWords;
      job.kStride = weights.kStride;
      job.pixels = static_cast<int>(std::min<int64_t>(kTilePixels, pixels - first));
      job.weights = weights.words.data() + padded * weights.kStride;
      job.outputs = static_cast<int>(std::min(splitOutputs, perGroup - output));
      job.base = plan.base.data() + padded * plan.classStride;
      job.classStride = plan.classStride;
      job.smallClasses = plan.classes <= kSmallClasses;
      job.classes = classes;
      job.scale = call.scale + padded;
      job.bias = call.bias + padded;
      job.relu = call.relu;
      job.residual = call.residual != nullptr ? call.residual + at : nullptr;
      job.y = call.y + at;
      job.outputStride = pixels;
      job.pixelStride = 1;
      if (built != index) {
        classes_of(plan, first, job.pixels, classes);
        const int runCount = runs_of(s, layout, first, job.pixels, runs);
        row.build_panel({planes.as<uint32_t>() + image * groupWords, plan.pieces.data(), static_cast<int>(plan.pieces.size()),
                         runs, runCount, panel});
        row.prepare(job);
        built = index;
      }
      row.compute(job);
    }
  });
}

}  // namespace bnn
