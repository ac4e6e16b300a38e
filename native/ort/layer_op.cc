#include "ort/layer_op.h"

namespace bnn {
namespace ort {
namespace {

struct Family {
  const char* prefix;
  bool weightOnly;
  bool threshold;
  bool dense;     // whether there are dense layers of it
  int epilogues;  // how many of kEpilogues it has
};
constexpr Family kFamilies[] = {
    {"Binary", false, false, true, 7},
    {"BinaryThreshold", false, true, false, 7},
    {"BinaryWeight", true, false, true, 4},
};

struct Ending {
  const char* suffix;
  bool relu, add, prelu, sign;
};
constexpr Ending kEpilogues[] = {
    {"", false, false, false, false},      {"Relu", true, false, false, false},  {"Add", false, true, false, false},
    {"ReluAdd", true, true, false, false}, {"PRelu", false, false, true, false}, {"AddPRelu", false, true, true, false},
    {"Sign", false, false, false, true},
};

std::vector<LayerInput> inputs_of(const Family& family, const Ending& ending) {
  std::vector<LayerInput> inputs;
  if (ending.sign) {
    inputs.push_back({"acc_threshold", &Epilogue::threshold});
  } else {
    inputs.push_back({"scale", &Epilogue::scale});
    inputs.push_back({"bias", &Epilogue::bias});
  }
  if (ending.add) inputs.push_back({"residual", &Epilogue::residual});
  if (ending.prelu) {
    inputs.push_back({"slope", &Epilogue::slope});
    inputs.push_back({"offset", &Epilogue::offset});
  }
  if (family.threshold) inputs.push_back({"x_threshold", nullptr});
  return inputs;
}

}  // namespace

std::vector<LayerOp> layer_ops() {
  std::vector<LayerOp> ops;
  for (const bool dense : {false, true}) {
    for (const Family& family : kFamilies) {
      if (dense && !family.dense) continue;
      for (int i = 0; i < family.epilogues; i++) {
        const Ending& ending = kEpilogues[i];
        ops.push_back({OrtCustomOp{}, std::string(family.prefix) + (dense ? "Gemm" : "Conv") + ending.suffix, dense, family.weightOnly,
                       ending.relu, inputs_of(family, ending)});
      }
    }
  }
  return ops;
}

}  // namespace ort
}  // namespace bnn
