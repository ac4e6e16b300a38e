// Calls of kernels that were recorded, to be made again with one call from JavaScript.
#pragma once

#include <node_api.h>

namespace bnn_node {

// createProgram, callProgram, runProgram.
void define_programs(napi_env env, napi_value exports);

}  // namespace bnn_node
