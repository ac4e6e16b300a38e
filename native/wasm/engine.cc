// What JavaScript calls: layers with their weights in the kernels' order, and operators on planes.
//
// Pointers are offsets into the module's memory. Shapes come as i32[13]: kernel height and width, strides, pads (top, left, bottom,
// right), dilations, groups, channels of a group, outputs of all groups; the caller has checked them (src/engine/layer.ts).
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "kernels/binarize/dispatch.h"
#include "kernels/binary_conv/binary_conv.h"
#include "kernels/binary_gemm/binary_gemm.h"
#include "kernels/binary_weight/binary_weight.h"
#include "kernels/stem_conv/stem_conv.h"
#include "threading/thread_pool.h"
#include "wasm/export.h"

namespace bnn {
namespace {

enum Kind { kBinaryConv, kBinaryDense, kBinaryWeightConv, kBinaryWeightDense, kFloatConv, kFloatDense };

// Vectors of one number per channel that a layer keeps.
enum VectorKind { kXThreshold, kScale, kBias, kSlope, kOffset, kThreshold, kVectorKinds };

struct Layer {
  Kind kind;
  BinaryConvShape shape;
  BinaryWeights binary;
  UnpackedWeights unpacked;
  std::vector<float> vectors[kVectorKinds];
  BinaryConvPlan plan;
  int64_t height = -1, width = -1;  // of the plan

  bool dense() const { return kind == kBinaryDense || kind == kBinaryWeightDense || kind == kFloatDense; }
  bool binary_data() const { return kind == kBinaryConv || kind == kBinaryDense; }
  const float* vector(VectorKind which) const { return vectors[which].empty() ? nullptr : vectors[which].data(); }
};

BinaryConvShape read_shape(const int32_t* s) {
  return {{s[0], s[1]}, {s[2], s[3]}, {s[4], s[5], s[6], s[7]}, {s[8], s[9]}, s[10], s[11], s[12]};
}

}  // namespace
}  // namespace bnn

using namespace bnn;

// Memory at the start of a cache line; null when there is none left.
BNN_EXPORT("alloc") void* bnn_alloc(size_t bytes) { return ::operator new (bytes, std::align_val_t{64}, std::nothrow); }
BNN_EXPORT("free") void bnn_free(void* data) { ::operator delete (data, std::align_val_t{64}); }

// weights: u8 bits as in the operator's input w, for the float kinds f32[outputs][channels][kernel rows][kernel columns].
BNN_EXPORT("layer") Layer* bnn_layer(int kind, const int32_t* shape, const void* weights) {
  auto* layer = new Layer();
  layer->kind = static_cast<Kind>(kind);
  layer->shape = read_shape(shape);
  const auto* bits = static_cast<const uint8_t*>(weights);
  const auto* values = static_cast<const float*>(weights);
  switch (layer->kind) {
    case kBinaryConv:
    case kBinaryDense: layer->binary = pack_binary_weights(layer->shape, bits); break;
    case kBinaryWeightConv: layer->unpacked = unpack_conv_weights(layer->shape, bits); break;
    case kBinaryWeightDense: layer->unpacked = unpack_dense_weights(layer->shape, bits); break;
    case kFloatConv: layer->unpacked = arrange_conv_weights(layer->shape, values); break;
    case kFloatDense: layer->unpacked = arrange_dense_weights(layer->shape, values); break;
  }
  return layer;
}

BNN_EXPORT("layerFree") void bnn_layer_free(Layer* layer) { delete layer; }

// Keeps a copy of one number per channel.
BNN_EXPORT("layerVector") void bnn_layer_vector(Layer* layer, int which, const float* values) {
  const BinaryConvShape& s = layer->shape;
  std::vector<float>& kept = layer->vectors[which];
  if (which == kXThreshold || !layer->binary_data()) {
    kept.assign(values, values + (which == kXThreshold ? s.groups * s.channels : s.outputs));
  } else {
    kept.resize(static_cast<size_t>(s.groups * layer->binary.groupOutputs));
    pad_outputs(s, layer->binary, values, kept.data());
  }
}

// x: f32[batch][channels of all groups][height][width], y likewise; residual like y, or null.
BNN_EXPORT("layerRun")
void bnn_layer_run(Layer* layer, int batch, int height, int width, const float* x, const float* residual, int relu, float* y) {
  const BinaryConvShape& s = layer->shape;
  const Parallel parallel = pool_parallel();
  if (!layer->binary_data()) {
    const WeightLayerCall call{batch, height, width, x, layer->vector(kScale), layer->vector(kBias), relu != 0, residual, y};
    const auto compute = layer->dense() ? binary_weight_gemm : binary_weight_conv;
    compute(s, layer->unpacked, call, parallel);
    return;
  }
  if (layer->height != height || layer->width != width) {
    layer->plan = plan_binary_conv(s, layer->binary, height, width);
    layer->height = height;
    layer->width = width;
  }
  const Epilogue epilogue{layer->vector(kScale),  layer->vector(kBias),     relu != 0, residual, layer->vector(kSlope),
                          layer->vector(kOffset), layer->vector(kThreshold)};
  if (layer->dense()) {
    binary_gemm(s, layer->binary, layer->plan, {batch, x, epilogue, y}, parallel);
  } else {
    binary_conv(s, layer->binary, layer->plan, {batch, height, width, x, layer->vector(kXThreshold), epilogue, y}, parallel);
  }
}

// A float layer with its pooling, there as long as the module. shape as for a layer; facts: i32[3 + outputs], what lies below and right of the
// pooling, whether there is a Relu, and of which outputs the least counts; weights f32[outputs][channels][kernel rows][kernel columns], the
// vectors f32[outputs] or null.
BNN_EXPORT("stem")
StemConv* bnn_stem(const int32_t* shape, const int32_t* facts, const float* weights, const float* bias, const float* scale,
                   const float* shift) {
  const BinaryConvShape s = read_shape(shape);
  const BinaryConvShape pool{{3, 3}, {2, 2}, {1, 1, facts[0], facts[1]}, {1, 1}, 1, 1, 1};
  const auto vector = [&](const float* values) {
    return values == nullptr ? std::vector<float>() : std::vector<float>(values, values + s.outputs);
  };
  std::vector<bool> least;
  for (int64_t o = 0; o < s.outputs; o++) least.push_back(facts[3 + o] != 0);
  return new StemConv(make_stem_conv(s, pool, facts[2] != 0, weights, vector(bias), vector(scale), vector(shift), std::move(least)));
}

// x: f32[batch][channels][height][width], y: f32[batch][outputs][size of an output].
BNN_EXPORT("stemRun") void bnn_stem_run(StemConv* stem, int batch, int height, int width, const float* x, int outSize, float* y) {
  for (int i = 0; i < batch; i++) {
    stem_conv(*stem, height, width, x, y, pool_parallel());
    x += stem->shape.channels * height * width;
    y += stem->shape.outputs * outSize;
  }
}

BNN_EXPORT("sign") void bnn_sign(const float* x, int count, float* y) { binarize_row().sign(x, count, y); }
