#include "kernels/binary_weight/winograd.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "threading/claim.h"

namespace bnn {

BNN_DECLARE_ROWS(WinogradTileRow, winograd_tile_row);

namespace {

constexpr int kPlanes = 16;
// Below, a convolution moves more than it multiplies.
constexpr int64_t kLeastChannels = 16;
// The products of this many outputs, of 64 tiles each, stay in the second-level cache until they are transformed.
constexpr int64_t kChunkOutputs = 32;
// Those whose weights are floats at a time.
constexpr int64_t kWideOutputs = 16;
// Floats that a vector may read beyond the last channel.
constexpr int64_t kReadBeyond = 64;
// The weights are four times those of the definition.
constexpr float kWeightScale = 0.25f;

const WinogradTileRow& winograd_tile_row() {
  static constexpr KernelRow<WinogradTileRow> rows[] = BNN_ROWS(winograd_tile_row);
  return active_row(rows);
}

// How the tiles of all images lie in lanes, one after the other, and the padded channels in memory.
struct TileGrid {
  int64_t outHeight, outWidth;
  int64_t rows, columns;              // of tiles of an image
  int64_t lanes;                      // tiles of all images
  int64_t paddedHeight, paddedWidth;  // what the windows of all tiles cover
  int64_t imageFloats;                // padded channels of an image

  TileGrid(const BinaryConvShape& s, const WeightLayerCall& call)
      : outHeight(s.out_size(0, call.height)),
        outWidth(s.out_size(1, call.width)),
        rows(ceil_div(outHeight, 2)),
        columns(ceil_div(outWidth, 2)),
        lanes(call.batch * rows * columns),
        paddedHeight(2 * rows + 2),
        paddedWidth(2 * columns + 2),
        imageFloats(s.groups * s.channels * paddedHeight * paddedWidth) {}
};

// Copies every channel with its padding. Windows may end before the image does.
void pad_channels(const BinaryConvShape& s, const TileGrid& grid, const WeightLayerCall& call, const Parallel& parallel,
                  float* padded) {
  const int64_t channels = call.batch * s.groups * s.channels, planeFloats = grid.paddedHeight * grid.paddedWidth;
  const int64_t left = s.pads[1], count = std::min(call.width, grid.paddedWidth - left);
  claim_all(parallel, channels, channels * planeFloats / 16, [&](const auto& claim) {
    for (int64_t i = claim(); i >= 0; i = claim()) {
      float* to = padded + i * planeFloats;
      std::fill_n(to, planeFloats, 0.0f);
      const int64_t rows = std::min(call.height, grid.paddedHeight - s.pads[0]);
      for (int64_t y = 0; y < rows; y++) {
        std::copy_n(call.x + (i * call.height + y) * call.width, count, to + (y + s.pads[0]) * grid.paddedWidth + left);
      }
    }
  });
}

// 64 neighbouring lanes.
struct LaneBlock {
  TileRun runs[kTilePixels];
  int count = 0, width = 0;

  LaneBlock(const BinaryConvShape& s, const TileGrid& grid, int64_t first) {
    const int lanes = static_cast<int>(std::min<int64_t>(kTilePixels, grid.lanes - first));
    width = (lanes + 15) / 16 * 16;
    for (int at = 0; at < lanes;) {
      const int64_t row = (first + at) / grid.columns, column = (first + at) % grid.columns;
      const int64_t image = row / grid.rows, y = row % grid.rows * 2, x = 2 * column;
      const int tiles = static_cast<int>(std::min<int64_t>(grid.columns - column, lanes - at));
      runs[count++] = {image * grid.imageFloats + y * grid.paddedWidth + x,
                       (image * s.outputs * grid.outHeight + y) * grid.outWidth + x,
                       at,
                       tiles,
                       static_cast<int>(std::min<int64_t>(2, grid.outHeight - y)),
                       static_cast<int>(std::min<int64_t>(2 * tiles, grid.outWidth - x))};
      at += tiles;
    }
  }
};

// Rows of 2G · g.
void transform_weights(const int8_t* g0, const int8_t* g1, const int8_t* g2, int64_t count, int8_t* const (&u)[4]) {
  for (int64_t i = 0; i < count; i++) {
    const int8_t outer = static_cast<int8_t>(g0[i] + g2[i]);
    u[0][i] = static_cast<int8_t>(2 * g0[i]);
    u[1][i] = static_cast<int8_t>(outer + g1[i]);
    u[2][i] = static_cast<int8_t>(outer - g1[i]);
    u[3][i] = static_cast<int8_t>(2 * g2[i]);
  }
}

// What is left of an infinity after the transforms is NaN, and numbers near the largest become infinite on the way. Such sums are
// computed again as they are defined.
class ExactSums {
 public:
  ExactSums(const BinaryConvShape& s, const TileGrid& grid, const UnpackedWeights& weights, const float* padded,
            const WeightLayerCall& call)
      : s_(s), grid_(grid), weights_(weights), padded_(padded), call_(call) {}

  // Of the output channel q of a group, whose products are `m`, `plane` floats apart.
  void write(const LaneBlock& block, int64_t group, int64_t q, const float* m, int64_t plane) const {
    for (int i = 0; i < block.count; i++) {
      const TileRun& run = block.runs[i];
      for (int r = 0; r < run.rows; r++) {
        for (int column = 0; column < run.columns; column++) {
          if (is_finite(m + run.lane + column / 2, plane, r, column % 2)) continue;
          const int64_t window = run.source + r * grid_.paddedWidth + column;
          write_one(group, q, window, run.target + r * grid_.outWidth + column);
        }
      }
    }
  }

 private:
  static bool is_finite(const float* m, int64_t plane, int r, int c) {
    // Row r of Aᵀ.
    constexpr float kFactors[2][4] = {{1, 1, 1, 0}, {0, 1, -1, 1}};
    float sum = 0.0f;
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) {
        if (kFactors[r][i] != 0 && kFactors[c][j] != 0) sum += kFactors[r][i] * kFactors[c][j] * m[(4 * i + j) * plane];
      }
    }
    return std::isfinite(sum);
  }

  // From the transformed weights: of 2G g, the outer rows are 2 g₀ and 2 g₂, the difference of the inner ones is 2 g₁.
  float weight(int64_t group, int64_t q, int64_t channel, int r, int c) const {
    const auto at = [&](int i, int j) {
      const int64_t row = ((4 * i + j) * s_.groups + group) * weights_.groupOutputs + q / kTileOutputs * kTileOutputs;
      return int{weights_.spectra[static_cast<size_t>((row * s_.channels) + channel * kTileOutputs + q % kTileOutputs)]};
    };
    const auto in_row = [&](int i) { return c == 1 ? at(i, 1) - at(i, 2) : at(i, c == 0 ? 0 : 3); };
    const int four = r == 1 ? in_row(1) - in_row(2) : in_row(r == 0 ? 0 : 3);
    return static_cast<float>(four) * kWeightScale;
  }

  void write_one(int64_t group, int64_t q, int64_t window, int64_t target) const {
    double sum = 0.0;
    for (int64_t channel = 0; channel < s_.channels && !std::isnan(sum); channel++) {
      const float* x = padded_ + (group * s_.channels + channel) * grid_.paddedHeight * grid_.paddedWidth + window;
      for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) sum += static_cast<double>(x[r * grid_.paddedWidth + c] * weight(group, q, channel, r, c));
      }
    }
    const int64_t o = group * (s_.outputs / s_.groups) + q, at = o * grid_.outHeight * grid_.outWidth + target;
    float value = static_cast<float>(sum);
    if (call_.relu && value < 0.0f) value = 0.0f;
    value = call_.scale[o] * value + call_.bias[o];
    call_.y[at] = call_.residual != nullptr ? value + call_.residual[at] : value;
  }

  const BinaryConvShape& s_;
  const TileGrid& grid_;
  const UnpackedWeights& weights_;
  const float* padded_;
  const WeightLayerCall& call_;
};

}  // namespace

bool suits_winograd(const BinaryConvShape& s) {
  for (int axis = 0; axis < 2; axis++) {
    if (s.kernel[axis] != 3 || s.strides[axis] != 1 || s.dilations[axis] != 1) return false;
  }
  return s.channels >= kLeastChannels && s.outputs / s.groups >= kLeastChannels;
}

AlignedArray<int8_t> winograd_weights(const BinaryConvShape& s, const uint8_t* bits) {
  const int64_t perGroup = s.outputs / s.groups, groupOutputs = ceil_div(perGroup, kTileOutputs) * kTileOutputs;
  const int64_t c = s.channels, rowBytes = ceil_div(c, 8);
  AlignedArray<int8_t> result(static_cast<size_t>(kPlanes * s.groups * groupOutputs * c));
  std::vector<int8_t> memory(static_cast<size_t>((9 + 12 + kPlanes) * c));
  int8_t* signs = memory.data();
  int8_t* columns = signs + 9 * c;
  int8_t* spectrum = columns + 12 * c;
  for (int64_t o = 0; o < s.outputs; o++) {
    for (int64_t t = 0; t < 9; t++) {
      const uint8_t* row = bits + (o * 9 + t) * rowBytes;
      for (int64_t i = 0; i < c; i++) signs[t * c + i] = static_cast<int8_t>(2 * (row[i / 8] >> (i % 8) & 1) - 1);
    }
    for (int64_t q = 0; q < 3; q++) {
      transform_weights(signs + q * c, signs + (3 + q) * c, signs + (6 + q) * c, c,
                        {columns + q * c, columns + (3 + q) * c, columns + (6 + q) * c, columns + (9 + q) * c});
    }
    for (int64_t r = 0; r < 4; r++) {
      const int8_t* row = columns + 3 * r * c;
      int8_t* to = spectrum + 4 * r * c;
      transform_weights(row, row + c, row + 2 * c, c, {to, to + c, to + 2 * c, to + 3 * c});
    }
    const int64_t group = o / perGroup, q = o % perGroup;
    for (int64_t p = 0; p < kPlanes; p++) {
      int8_t* to = result.data() + ((p * s.groups + group) * groupOutputs + q / kTileOutputs * kTileOutputs) * c + q % kTileOutputs;
      for (int64_t i = 0; i < c; i++) to[i * kTileOutputs] = spectrum[p * c + i];
    }
  }
  return result;
}

void winograd_conv(const BinaryConvShape& s, const UnpackedWeights& weights, const WeightLayerCall& call, const Parallel& parallel) {
  const WinogradTileRow& transform = winograd_tile_row();
  const FloatTileRow& row = float_tile_row();
  const TileGrid grid(s, call);
  Scratch memory(static_cast<size_t>(call.batch * grid.imageFloats + kReadBeyond) * 4);
  float* padded = memory.as<float>();
  pad_channels(s, grid, call, parallel, padded);
  const ExactSums exact(s, grid, weights, padded, call);

  const int64_t perGroup = s.outputs / s.groups, blocks = ceil_div(grid.lanes, kTilePixels), panels = s.groups * blocks;
  const int64_t splits = std::clamp<int64_t>(ceil_div(8, panels), 1, std::max<int64_t>(1, perGroup / kChunkOutputs));
  const int64_t splitOutputs = ceil_div(ceil_div(perGroup, splits), kTileOutputs) * kTileOutputs;
  // Planes that begin in different sets of a cache, and are readable for a vector beyond their end.
  const int64_t pitch = std::min<int64_t>(kTilePixels, ceil_div(grid.lanes, 16) * 16);
  const int64_t plane = s.channels * pitch + 16, productPlane = kChunkOutputs * pitch + 16;
  const int64_t channelFloats = grid.paddedHeight * grid.paddedWidth, outputPixels = grid.outHeight * grid.outWidth;
  const int64_t work = panels * kTilePixels * perGroup * s.channels;
  claim_all(parallel, panels * splits, work, [&](const auto& claim) {
    constexpr int64_t kColumns = 16 * kLanesPitch;
    Scratch scratch(static_cast<size_t>(kColumns + kPlanes * (plane + productPlane) + s.channels * kWideOutputs) * 4);
    float* columns = scratch.as<float>();
    float* spectrum = columns + kColumns;
    float* products = spectrum + kPlanes * plane;
    float* wide = products + kPlanes * productPlane;
    int64_t built = -1;
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t panel = piece / splits, group = panel / blocks, firstOutput = piece % splits * splitOutputs;
      const LaneBlock block(s, grid, panel % blocks * kTilePixels);
      if (panel != built) {
        for (int64_t c = 0; c < s.channels; c++) {
          transform.input(padded + (group * s.channels + c) * channelFloats, grid.paddedWidth, block.runs, block.count, block.width,
                          columns, spectrum + c * pitch, plane);
        }
        built = panel;
      }
      for (int64_t first = firstOutput; first < std::min(firstOutput + splitOutputs, perGroup); first += kChunkOutputs) {
        const int64_t end = std::min({first + kChunkOutputs, firstOutput + splitOutputs, perGroup});
        const int64_t wideBlocks = ceil_div(end - first, kWideOutputs);
        const auto filters = [&](int64_t i) {
          const int64_t p = i / wideBlocks % kPlanes, o = first + i % wideBlocks * kWideOutputs;
          return weights.spectra.data() + ((p * s.groups + group) * weights.groupOutputs + o) * s.channels;
        };
        for (int64_t i = 0; i < kPlanes * wideBlocks; i++) {
          const int64_t p = i / wideBlocks, o = i % wideBlocks * kWideOutputs;
          const int64_t tiles = ceil_div(std::min(end - first - o, kWideOutputs), kTileOutputs);
          transform.widen(filters(i), tiles * kTileOutputs * s.channels, filters(i + 1), wide);
          row.multiply(spectrum + p * plane, pitch, {wide, static_cast<int>(tiles), s.channels * kTileOutputs}, s.channels,
                       block.width, false, products + p * productPlane + o * pitch);
        }
        for (int64_t i = first; i < end; i++) {
          const int64_t o = group * perGroup + i;
          const float* residual = call.residual != nullptr ? call.residual + o * outputPixels : nullptr;
          const float* sums = products + (i - first) * pitch;
          const bool is_finite = transform.output(sums, productPlane, block.runs, block.count, grid.outWidth, call.relu,
                                                  kWeightScale * call.scale[o], call.bias[o], residual, call.y + o * outputPixels);
          if (!is_finite) exact.write(block, group, i, sums, productPlane);
        }
      }
    }
  });
}

}  // namespace bnn
