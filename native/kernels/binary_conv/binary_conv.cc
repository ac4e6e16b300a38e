// Two passes: signs into padded planes of bits, then block after block of output pixels.
//
// Work is claimed, not dealt: each call of a worker takes pieces until none is left. One thread then goes through them in order
// and reuses what it has built, and several threads finish together although onnxruntime does not tell how many it has.
#include "kernels/binary_conv/binary_conv.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/binarize/dispatch.h"
#include "memory/scratch_pool.h"

namespace bnn {
namespace {

// More than the threads of any machine that a single layer can occupy.
constexpr size_t kMaxWorkers = 64;
// Pieces of work below this many (in words of 512 bits, about a nanosecond each) are not worth waking a thread.
constexpr int64_t kMinWork = 8192;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <typename Worker>
void claim_all(const Parallel& parallel, int64_t pieces, int64_t work, const Worker& worker) {
  std::atomic<int64_t> next{0};
  const int64_t useful = std::min<int64_t>(pieces, std::max<int64_t>(1, work / kMinWork));
  parallel_for(parallel, std::min(static_cast<size_t>(useful), kMaxWorkers), [&](size_t) {
    worker([&]() {
      const int64_t piece = next.fetch_add(1, std::memory_order_relaxed);
      return piece < pieces ? piece : int64_t{-1};
    });
  });
}

// Rows [begin, end) of one padded plane: u32[rows][stride of width][phaseWidth].
void pack_rows(const BinaryConvShape& s, const BinaryConvPlan& plan, const float* x, int channels, int64_t begin, int64_t end,
               uint32_t* plane) {
  const int64_t stride = s.strides[1], left = s.pads[1];
  const ptrdiff_t channelStride = plan.height * plan.width;
  const bool contiguous = plan.rowWords == plan.width;
  if (!contiguous) std::memset(plane + begin * plan.rowWords, 0, static_cast<size_t>((end - begin) * plan.rowWords) * 4);
  const int64_t firstRow = std::clamp<int64_t>(begin - s.pads[0], 0, plan.height);
  const int64_t lastRow = std::clamp<int64_t>(end - s.pads[0], 0, plan.height);
  constexpr int64_t kChunk = 512;
  uint32_t words[kChunk];
  for (int64_t at = firstRow * plan.width; at < lastRow * plan.width;) {
    const int count = static_cast<int>(std::min(kChunk, lastRow * plan.width - at));
    binarize_row().channels_first(x + at, channels, channelStride, count, words);
    for (int64_t done = 0; done < count;) {
      const int64_t row = (at + done) / plan.width, column = (at + done) % plan.width;
      const int64_t run = std::min<int64_t>(plan.width - column, count - done);
      uint32_t* target = plane + (row + s.pads[0]) * plan.rowWords;
      if (stride == 1) {
        std::memcpy(target + left + column, words + done, static_cast<size_t>(run) * 4);
      } else {
        for (int64_t i = 0; i < run; i++) {
          const int64_t padded = left + column + i;
          target[padded % stride * plan.phaseWidth + padded / stride] = words[done + i];
        }
      }
      done += run;
    }
    at += count;
  }
  if (contiguous) {
    // Only rows of padding are left to clear.
    for (int64_t row = begin; row < end; row++) {
      if (row < s.pads[0] || row >= s.pads[0] + plan.height) {
        std::memset(plane + row * plan.rowWords, 0, static_cast<size_t>(plan.rowWords) * 4);
      }
    }
  }
}

void pack_images(const BinaryConvShape& s, const BinaryConvPlan& plan, const BinaryConvCall& call, const Parallel& parallel,
                 uint32_t* planes) {
  const int64_t perImage = s.groups * plan.channelWords;
  // Two or more pieces of a plane only where there are few planes.
  const int64_t bands = call.batch * perImage >= 8 ? 1 : std::min<int64_t>(plan.paddedHeight, 8);
  const int64_t work = call.batch * s.groups * s.channels * plan.height * plan.width / 8;
  claim_all(parallel, call.batch * perImage * bands, work, [&](const auto& claim) {
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t band = piece % bands, plane = piece / bands, word = plane % plan.channelWords;
      const int64_t channel = plane / plan.channelWords * s.channels + 32 * word;
      const int channels = static_cast<int>(std::min<int64_t>(32, s.channels - 32 * word));
      pack_rows(s, plan, call.x + channel * plan.height * plan.width, channels, plan.paddedHeight * band / bands,
                plan.paddedHeight * (band + 1) / bands, planes + plane * plan.planeWords);
    }
  });
}

// The pixels [begin, begin + count) of an image: their classes and the runs that lie side by side in the planes.
int describe_block(const BinaryConvShape& s, const BinaryConvPlan& plan, int64_t begin, int count, PanelRun* runs,
                   int32_t* classes) {
  int runCount = 0;
  int64_t row = begin / plan.outWidth, column = begin % plan.outWidth;
  for (int done = 0; done < count; row++, column = 0) {
    const int run = static_cast<int>(std::min<int64_t>(plan.outWidth - column, count - done));
    for (int i = 0; i < run; i++) {
      classes[done + i] = plan.rowClass[static_cast<size_t>(row)] + plan.columnClass[static_cast<size_t>(column + i)];
    }
    const ptrdiff_t source = row * s.strides[0] * plan.rowWords + column;
    PanelRun* last = runCount > 0 ? runs + runCount - 1 : nullptr;
    if (last != nullptr && last->source + last->count == source) {
      last->count += run;
    } else {
      runs[runCount++] = {source, done, run};
    }
    done += run;
  }
  std::fill(classes + count, classes + kTilePixels, classes[0]);
  return runCount;
}

}  // namespace

void binary_conv(const BinaryConvShape& s, const BinaryWeights& weights, const BinaryConvPlan& plan, const BinaryConvCall& call,
                 const Parallel& parallel) {
  const BinaryTileRow& row = binary_tile_row();
  const int64_t pixels = plan.outHeight * plan.outWidth, blocks = ceil_div(pixels, kTilePixels);
  const int64_t perGroup = s.outputs / s.groups;
  const ptrdiff_t groupWords = plan.channelWords * plan.planeWords;
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
    int runCount = 0;
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
        runCount = describe_block(s, plan, first, job.pixels, runs, classes);
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
