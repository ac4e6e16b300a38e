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
  Window(const BinaryConvShape& shape, const BinaryConvPlan& plan, const BinaryConvCall& call, uint32_t* planes)
      : shape_(shape), plan_(plan), call_(call), planes_(planes) {}

  // Returns the planes from row `begin` on. `image` counts the groups of all images.
  const uint32_t* show(int64_t image, int64_t begin, int64_t end) {
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
      if (call_.xBits != nullptr) {
        place(end_, end);
      } else {
        pack(end_, end);
      }
      end_ = end;
    }
    return planes_ + (begin - begin_) * rowWords;
  }

 private:
  // Of the image without its padding, the elements that the padded rows up to `row` hold.
  int64_t elements_before(int64_t row) const {
    return std::clamp<int64_t>(row - shape_.pads[0], 0, plan_.layout.height) * plan_.layout.width;
  }

  // Bits that are there already.
  void place(int64_t begin, int64_t end) {
    const ConvLayout& layout = plan_.layout;
    const int64_t first = elements_before(begin), last = elements_before(end), plane = layout.height * layout.width;
    const uint32_t* source = call_.xBits + image_ * plan_.channelWords * plane + first;
    for (int c = 0; c < plan_.channelWords; c++) {
      uint32_t* target = planes_ + c * plan_.windowWords;
      clear_padding(shape_, layout, begin, end, begin_, target);
      scatter(shape_, layout, source + c * plane, first, last - first, begin_, target);
    }
  }

  void pack(int64_t begin, int64_t end) {
    const ConvLayout& layout = plan_.layout;
    const int64_t first = elements_before(begin), last = elements_before(end);
    const ptrdiff_t channelStride = layout.height * layout.width, pixelStride = shape_.channels * shape_.groups;
    const int64_t group = image_ % shape_.groups;
    const float* x = call_.x + (call_.channelsLast ? (image_ / shape_.groups * channelStride * shape_.groups + group) * shape_.channels
                                                   : image_ * shape_.channels * channelStride);
    const float* threshold = call_.xThreshold != nullptr ? call_.xThreshold + group * shape_.channels : nullptr;
    const BinarizeRow& row = binarize_row();
    for (int c = 0; c < plan_.channelWords; c++) {
      uint32_t* plane = planes_ + c * plan_.windowWords;
      const float* source = x + 32 * c * (call_.channelsLast ? 1 : channelStride);
      const int channels = static_cast<int>(std::min<int64_t>(32, shape_.channels - 32 * c));
      clear_padding(shape_, layout, begin, end, begin_, plane);
      constexpr int64_t kChunk = 512;
      uint32_t words[kChunk];
      for (int64_t at = first; at < last; at += kChunk) {
        const int64_t count = std::min(kChunk, last - at);
        if (call_.channelsLast) {
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
  const BinaryConvCall& call_;
  uint32_t* planes_;
  int64_t image_ = -1, begin_ = 0, end_ = 0;
};

// `compute` by way of a tile, f32[kStoreOutputs][kTilePixels], to pixels `pixelStride` apart.
void compute_channels_last(const BinaryTileRow& row, const TileJob& all, float* tile, ptrdiff_t pixelStride) {
  for (int output = 0; output < all.outputs; output += kStoreOutputs) {
    TileJob job = all;
    job.outputs = std::min(kStoreOutputs, all.outputs - output);
    job.weights += static_cast<ptrdiff_t>(output) * all.kStride;
    if (all.triples != nullptr) job.triples += static_cast<ptrdiff_t>(output) * all.kStride;
    job.base += static_cast<ptrdiff_t>(output) * all.classStride;
    job.epilogue = epilogue_from(all.epilogue, output, 0);
    job.y = tile;
    job.outputStride = kTilePixels;
    row.compute(job);
    row.store({tile, job.outputs, job.pixels, all.y + output, pixelStride});
  }
}

// `compute` for rows that write no bits themselves, by way of floats: those of y, or where there are none, of a tile.
void compute_bits(const BinaryTileRow& row, const TileJob& all, float* tile) {
  TileJob job = all;
  job.bits = nullptr;
  if (all.y == nullptr) {
    // The residual has the stride of y: a tile in its place would need its own.
    job.y = tile;
    job.outputStride = kTilePixels;
  }
  for (int output = 0; output < all.outputs; output += 32) {
    job.outputs = std::min(32, all.outputs - output);
    job.weights = all.weights + static_cast<ptrdiff_t>(output) * all.kStride;
    if (all.triples != nullptr) job.triples = all.triples + static_cast<ptrdiff_t>(output) * all.kStride;
    job.base = all.base + static_cast<ptrdiff_t>(output) * all.classStride;
    job.epilogue = epilogue_from(all.epilogue, output, output * all.outputStride);
    if (all.y != nullptr) job.y = all.y + output * all.outputStride;
    row.compute(job);
    const float* least = all.bitLeast != nullptr ? all.bitLeast + output : kZeros;
    uint32_t* words = all.bits + output / 32 * all.bitsStride;
    binarize_row().channels_first(job.y, least, job.outputs, job.outputStride, all.pixels, words);
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
  // Outputs of one word of bits stay together.
  const int64_t together = call.yBits != nullptr ? 32 : kTileOutputs;
  const int64_t splitOutputs = ceil_div(ceil_div(perGroup, splits), together) * together;
  const int64_t work = images * pixels * perGroup * weights.kWords / 16;
  claim_all(parallel, images * bands * splits, work, [&](const auto& claim) {
    const size_t panelWords = static_cast<size_t>(weights.kStride + 1) * kTilePixels;
    const size_t workspaceWords = tile_workspace_bytes(weights.kStride, splitOutputs) / 4;
    const size_t planeWords = static_cast<size_t>(plan.channelWords * plan.windowWords + 16);
    const bool byFloats = call.yBits != nullptr && !row.writesBits;
    const size_t tileWords = call.channelsLast || byFloats ? kStoreOutputs * kTilePixels : 0;
    Scratch scratch((panelWords + workspaceWords + tileWords + planeWords) * 4);
    uint32_t* panel = scratch.as<uint32_t>();
    float* tile = reinterpret_cast<float*>(panel + panelWords + workspaceWords);
    Window window(s, plan, call, panel + panelWords + workspaceWords + tileWords);
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
        if (weights.triples.size() > 0) job.triples = weights.triples.data() + padded * weights.kStride;
        job.outputs = static_cast<int>(std::min(splitOutputs, perGroup - output));
        job.base = plan.base.data() + padded * plan.classStride;
        job.classStride = plan.classStride;
        job.smallClasses = plan.classes <= kSmallClasses;
        job.classes = plan.pixelClass.data() + first;
        job.epilogue = epilogue_from(call.epilogue, padded, at);
        job.y = call.y != nullptr ? call.y + at : nullptr;
        job.outputStride = pixels;
        job.pixelStride = 1;
        if (call.yBits != nullptr) {
          job.bits = call.yBits + (image * ceil_div(s.outputs, 32) + output / 32) * pixels + first;
          job.bitsStride = pixels;
          job.bitLeast = call.yLeast != nullptr ? call.yLeast + output : nullptr;
          if (call.yMost != nullptr) job.most = call.yMost + padded * plan.classStride;
        }
        if (built != image * blocks + b) {
          const BlockPlan& block = plan.blocks[static_cast<size_t>(b)];
          const uint32_t* planes = window.show(image, block.rowBegin, block.rowEnd);
          row.build_panel({planes, plan.pieces.data(), static_cast<int>(plan.pieces.size()), plan.runs.data() + block.firstRun,
                           block.runCount, panel});
          row.prepare(job);
          built = image * blocks + b;
        }
        if (call.channelsLast) {
          compute_channels_last(row, job, tile, s.outputs);
        } else if (byFloats) {
          compute_bits(row, job, tile);
        } else {
          row.compute(job);
        }
      }
    }
  });
}

}  // namespace bnn
