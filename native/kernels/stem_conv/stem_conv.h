// The first layers of a network for large pictures: a float convolution of stride 2 and a maximum over 3×3 neighbours of stride 2, with fewer
// products than they are defined by.
//
//     s(o, p) = Σ x(c, …) · w(o, c, tap)                            by tiles: equal but for rounding
//     z(o, j) = max of s over the window + bias(o),                 then max(·, 0) where `relu`
//     y(o, j) = z · scale(o) + shift(o)                             where there is a scale
//
// The least of s instead of the largest where least(o), for a negative scale in front of the pooling.
//
// A convolution of stride 2 is the sum of four of stride 1, of even and odd rows and columns, with up to four taps by four; those go by
// Winograd's filtering in tiles of 4×4 results (Toom and Cook; Lavin and Gray, CVPR 2016), all channels of all four in one sum.
// Along one axis, with d the seven data and g the four taps, y = Aᵀ((G g) ⊙ (Bᵀ d)), by values at 0, 1, −1, 2, −2, ½ and ∞:
//
//          ⎡1 1  1 1  1  1  0⎤        rows of Bᵀ: the coefficients of x(x²−1)(x²−4)(x−½) without the factor of the point,
//     Aᵀ = ⎢0 1 −1 2 −2  ½  0⎥        of all of them for ∞
//          ⎢0 1  1 4  4  ¼  0⎥        rows of G: 1, a, a², a³ over that polynomial at a; 0, 0, 0, 1 for ∞
//          ⎣0 1 −1 8 −8  ⅛  1⎦
//
// Odd rows and columns have three taps at most, so they have no ∞: 7×7 of 3 channels are 13² · 3 products for 16 results instead of 147 · 16,
// 4.6 times fewer. The rounding errors are about 1e-6 of the results' size, six to nine times those of sums of 147 float products (root mean
// square, against float64). Near an infinity or NaN results are undefined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/binary_conv/conv_shape.h"
#include "memory/aligned_array.h"
#include "simd/isa.h"
#include "threading/parallel.h"

namespace bnn {

// Taps along an axis.
constexpr int64_t kStemLeastKernel = 5, kStemMostKernel = 7;
// Results of a tile along an axis, and the points at which it is multiplied.
constexpr int kStemTile = 4, kStemPoints = 7;
// Outputs whose weights lie together.
constexpr int kStemOutputs = 8;
// How many parities of rows or columns have a point, and the products in front of one of columns and one of rows.
static inline int stem_parities(int point) { return point < kStemPoints - 1 ? 2 : 1; }
static inline int64_t stem_products_before(int64_t channels, int columnPoint, int rowPoint) {
  constexpr int kAlong = 2 * kStemPoints - 1;  // 7 points of even positions and 6 of odd ones
  return channels * (2 * kAlong * columnPoint + 2 * stem_parities(columnPoint) * rowPoint);
}
// The place of one: see StemProductsJob.
static inline int64_t stem_product(int64_t channels, int64_t channel, int rowPoint, int columnPoint, int rowParity, int columnParity) {
  return stem_products_before(channels, columnPoint, rowPoint) + (columnParity * stem_parities(rowPoint) + rowParity) * channels +
         channel;
}
// Values of a tile that its maxima and those of its neighbours are made of: see StemProductsJob.
constexpr int kStemMaxima = 9;

struct StemConv {
  BinaryConvShape shape{};  // one group, strides of 2
  BinaryConvShape pool{};   // 3×3, strides of 2, pads of 1 in front
  bool relu = false;
  AlignedArray<float> weights;            // f32[⌈outputs / 8⌉][products][8], in the order of the products: see StemProductsJob
  std::vector<float> bias, scale, shift;  // f32[outputs], or empty
  std::vector<bool> least;                // of the outputs
};

// Whether a convolution and its pooling can be done in this way.
bool suits_stem_conv(const BinaryConvShape& shape, const BinaryConvShape& pool);

// weights: f32[outputs][channels][kernel rows][kernel columns]; the vectors f32[outputs], or empty.
StemConv make_stem_conv(const BinaryConvShape& shape, const BinaryConvShape& pool, bool relu, const float* weights,
                        std::vector<float> bias, std::vector<float> scale, std::vector<float> shift, std::vector<bool> least);

// One image: f32[channels][height][width] -> f32[outputs][pooled height][pooled width].
void stem_conv(const StemConv& conv, int64_t height, int64_t width, const float* x, float* y, const Parallel& parallel);

// Data of a padded picture by rows and columns modulo 8, f32[channels][8][8][plane]: tiles that are neighbours read neighbours. A row of
// tiles takes `rowTiles` elements, one more than it has tiles.
struct StemInputJob {
  const float* planes;  // at the first tile
  int64_t channels, plane, rowTiles;
  int vectors;      // of tiles
  float* spectrum;  // f32[products][vectors]: Bᵀ d B
};

// Tiles of eight outputs. Products are in the order [column point][row point][column parity][row parity][channel].
struct StemProductsJob {
  const float* spectrum;
  const float* weights;  // f32[products][8]
  int64_t channels;
  int vectors;
  const float *rowsLeft, *columnsLeft;  // of the results of each tile, those that there are
  // f32[8][9][plane]: of rows and of columns each the larger of 0 and 1, the largest of 1, 2, 3, and 3. −∞ where there is no result.
  float* maxima;
  int64_t plane;
};

// One row of tiles of an output.
struct StemPoolJob {
  const float* maxima;  // f32[9][plane], at its first tile
  int64_t plane, rowTiles;
  int64_t rows, columns;  // of the result: two rows of twice as many columns as there are tiles, or less
  float sign;             // −1 where the weights are negated, for the least
  float bias;
  bool relu, isScaled;
  float scale, shift;
  float* y;
};

struct StemConvRow {
  const char* name;
  int width;    // tiles of a vector
  int vectors;  // that are multiplied together; one alone may be, too
  // Elements 8·i + k of a row of `count` · 8 floats, to planes[k · plane + i]; whole vectors are read and written.
  void (*split)(const float* row, int64_t count, float* planes, int64_t plane);
  void (*input)(const StemInputJob& job);
  void (*products)(const StemProductsJob& job);
  void (*pool)(const StemPoolJob& job);
};

}  // namespace bnn
