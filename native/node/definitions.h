// One for each file of this folder: puts its functions into `exports`. After napi_env and napi_value, whatever they are (args.h).
#pragma once

namespace bnn_node {

void define_convolutions(napi_env env, napi_value exports);
void define_elementwise(napi_env env, napi_value exports);
void define_sign_gradients(napi_env env, napi_value exports);
void define_batch_norm(napi_env env, napi_value exports);
void define_movement(napi_env env, napi_value exports);

}  // namespace bnn_node
