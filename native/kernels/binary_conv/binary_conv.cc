// Block after block of output pixels: signs of the rows it sees into planes of bits, its panel from these, its tiles.
//
// Nothing is shared between workers but the work: each keeps a window of planes, which moves down the image, so that every row is
// packed once by each worker that needs it, and its floats are still near when they return as the residual.
#include "kernels/binary_conv/binary_conv.h"

#include <algorithm>
#include <cstring>

#include "kernels/binarize/dispatch.h"
#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "threading/claim.h"

namespace bnn {
namespace {

// Pieces that the work is cut into at least, so that threads end at about the same time.
constexpr int64_t kPieces = 12;
// A panel is built for at least this many outputs; where tables are made of it, for more.
#if defined(__wasm_simd128__)
constexpr int64_t kSplitOutputs = 256;
#else
constexpr int64_t kSplitOutputs = 32;
#endif
// Channels last: outputs that are transposed together, while they are in the first-level cache.
constexpr int kStoreOutputs = 64;

// The padded rows [begin, end) of the bits of one group of one image.
class Window {
 public:
  Window(const BinaryConvShape& shape, const BinaryConvPlan& plan, bool channelsLast, uint32_t* planes)
      : shape_(shape), plan_(plan), channelsLast_(channelsLast), planes_(planes) {}

  // Returns the planes from row `begin` on. `image` tells images and groups apart, x and threshold are of its first channel.
  const uint32_t* show(int64_t image, const float* x, const float* threshold, int64_t begin, int64_t end) {
    const ptrdiff_t rowWords = plan_.layout.rowWords;
    if (image != image_ || begin < begin_ || begin >= end_) {
      image_ = image;
      begin_ = end_ = begin;
    }
    if (end > begin_ + plan_.windowRows) {
      for (int c = 0; c < plan_.channelWords; c++) {
        uint32_t* plane = planes_ + c * plan_.windowWords;
        std::memmove(plane, plane + (begin - begin_) * rowWords, static_cast<size_t>((end_ - begin) * rowWords) * 4);
      }
      begin_ = begin;
    }
    if (end > end_) {
      pack(x, threshold, end_, end);
      end_ = end;
    }
    return planes_ + (begin - begin_) * rowWords;
  }

 private:
  void pack(const float* x, const float* threshold, int64_t begin, int64_t end) {
    const ConvLayout& layout = plan_.layout;
    const int64_t first = std::clamp<int64_t>(begin - shape_.pads[0], 0, layout.height) * layout.width;
    const int64_t last = std::clamp<int64_t>(end - shape_.pads[0], 0, layout.height) * layout.width;
    const ptrdiff_t channelStride = layout.height * layout.width, pixelStride = shape_.channels * shape_.groups;
    const BinarizeRow& row = binarize_row();
    for (int c = 0; c < plan_.channelWords; c++) {
      uint32_t* plane = planes_ + c * plan_.windowWords;
      const float* source = x + 32 * c * (channelsLast_ ? 1 : channelStride);
      const int channels = static_cast<int>(std::min<int64_t>(32, shape_.channels - 32 * c));
      clear_padding(shape_, layout, begin, end, begin_, plane);
      constexpr int64_t kChunk = 512;
      uint32_t words[kChunk];
      for (int64_t at = first; at < last; at += kChunk) {
        const int64_t count = std::min(kChunk, last - at);
        if (channelsLast_) {
          row.channels_last(source + at * pixelStride, channels, pixelStride, static_cast<int>(count), words);
        } else {
          row.channels_first(source + at, threshold != nullptr ? threshold + 32 * c : kZeros, channels, channelStride,
                             static_cast<int>(count), words);
        }
        scatter(shape_, layout, words, at, count, begin_, plane);
      }
    }
  }

  const BinaryConvShape& shape_;
  const BinaryConvPlan& plan_;
  bool channelsLast_;
  uint32_t* planes_;
  int64_t image_ = -1, begin_ = 0, end_ = 0;
};

// `compute` by way of a tile, f32[kStoreOutputs][kTilePixels], to pixels `pixelStride` apart.
void compute_channels_last(const BinaryTileRow& row, const TileJob& all, float* tile, ptrdiff_t pixelStride) {
  for (int output = 0; output < all.outputs; output += kStoreOutputs) {
    TileJob job = all;
    job.outputs = std::min(kStoreOutputs, all.outputs - output);
    job.weights += static_cast<ptrdiff_t>(output) * all.kStride;
    job.base += static_cast<ptrdiff_t>(output) * all.classStride;
    job.epilogue = epilogue_from(all.epilogue, output, 0);
    job.y = tile;
    job.outputStride = kTilePixels;
    row.compute(job);
    row.store({tile, job.outputs, job.pixels, all.y + output, pixelStride});
  }
}

}  // namespace

void binary_conv(const BinaryConvShape& s, const BinaryWeights& weights, const BinaryConvPlan& plan, const BinaryConvCall& call,
                 const Parallel& parallel) {
  const BinaryTileRow& row = binary_tile_row();
  const int64_t pixels = plan.layout.pixels(), blocks = static_cast<int64_t>(plan.blocks.size());
  const int64_t perGroup = s.outputs / s.groups, images = call.batch * s.groups;
  // Where there are few blocks, each is a piece and is shared out by output channels too.
  const int64_t bandBlocks = std::max<int64_t>(1, blocks * images / kPieces < blocks ? blocks * images / kPieces : blocks);
  const int64_t bands = ceil_div(blocks, bandBlocks);
  const int64_t mostSplits = bandBlocks > 1 ? 1 : std::max<int64_t>(1, perGroup / kSplitOutputs);
  const int64_t splits = std::clamp<int64_t>(ceil_div(kPieces, images * bands), 1, mostSplits);
  const int64_t splitOutputs = ceil_div(ceil_div(perGroup, splits), kTileOutputs) * kTileOutputs;
  const int64_t work = images * pixels * perGroup * weights.kWords / 16;
  claim_all(parallel, images * bands * splits, work, [&](const auto& claim) {
    const size_t panelWords = static_cast<size_t>(weights.kStride + 1) * kTilePixels;
    const size_t workspaceWords = tile_workspace_bytes(weights.kStride, splitOutputs) / 4;
    const size_t planeWords = static_cast<size_t>(plan.channelWords * plan.windowWords + 16);
    const size_t tileWords = call.channelsLast ? kStoreOutputs * kTilePixels : 0;
    Scratch scratch((panelWords + workspaceWords + tileWords + planeWords) * 4);
    uint32_t* panel = scratch.as<uint32_t>();
    float* tile = reinterpret_cast<float*>(panel + panelWords + workspaceWords);
    Window window(s, plan, call.channelsLast, panel + panelWords + workspaceWords + tileWords);
    int64_t built = -1;
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t image = piece / splits / bands, group = image % s.groups, band = piece / splits % bands;
      const int64_t output = piece % splits * splitOutputs;
      if (output >= perGroup) continue;
      const int64_t padded = group * weights.groupOutputs + output;
      for (int64_t b = band * bandBlocks; b < std::min(blocks, (band + 1) * bandBlocks); b++) {
        const int64_t first = b * kTilePixels;
        const ptrdiff_t at = call.channelsLast ? (image / s.groups * pixels + first) * s.outputs + group * perGroup + output
                                               : (image / s.groups * s.outputs + group * perGroup + output) * pixels + first;
        TileJob job{};
        job.panel = panel;
        job.workspace = panel + panelWords;
        job.kWords = weights.kWords;
        job.kStride = weights.kStride;
        job.kNibbles = static_cast<int>(ceil_div(s.bits(), 4));
        job.pixels = static_cast<int>(std::min<int64_t>(kTilePixels, pixels - first));
        job.weights = weights.words.data() + padded * weights.kStride;
        job.outputs = static_cast<int>(std::min(splitOutputs, perGroup - output));
        job.base = plan.base.data() + padded * plan.classStride;
        job.classStride = plan.classStride;
        job.smallClasses = plan.classes <= kSmallClasses;
        job.classes = plan.pixelClass.data() + first;
        job.epilogue = epilogue_from(call.epilogue, padded, at);
        job.y = call.y + at;
        job.outputStride = pixels;
        job.pixelStride = 1;
        if (built != image * blocks + b) {
          const BlockPlan& block = plan.blocks[static_cast<size_t>(b)];
          const int64_t inputPixels = plan.layout.height * plan.layout.width;
          const float* x = call.x + (call.channelsLast ? (image / s.groups * inputPixels * s.groups + group) * s.channels
                                                       : image * s.channels * inputPixels);
          const float* threshold = call.xThreshold != nullptr ? call.xThreshold + group * s.channels : nullptr;
          const uint32_t* planes = window.show(image, x, threshold, block.rowBegin, block.rowEnd);
          row.build_panel({planes, plan.pieces.data(), static_cast<int>(plan.pieces.size()), plan.runs.data() + block.firstRun,
                           block.runCount, panel});
          row.prepare(job);
          built = image * blocks + b;
        }
        if (call.channelsLast) {
          compute_channels_last(row, job, tile, s.outputs);
        } else {
          row.compute(job);
        }
      }
    }
  });
}

}  // namespace bnn
