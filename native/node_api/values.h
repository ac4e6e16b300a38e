// What both addons ask of Node-API: values that are made, and values whose kind and size are looked at before they are read.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <string>

namespace bnn_node_api {

inline napi_value new_number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

inline napi_value new_text(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

inline void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

inline napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type;
}

// False for what is no string.
inline bool read_text(napi_env env, napi_value value, std::string* text) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  text->assign(length, '\0');
  napi_get_value_string_utf8(env, value, text->data(), length + 1, &length);
  return true;
}

inline size_t element_bytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array: return 1;
    case napi_int16_array:
    case napi_uint16_array: return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array: return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array: return 8;
    default: return 0;
  }
}

struct TypedArray {
  napi_typedarray_type type;
  void* data;
  size_t count;  // of elements that are there
};

// False for what is no typed array of numbers.
inline bool read_typed_array(napi_env env, napi_value value, TypedArray* array) {
  bool is_typed = false;
  napi_value buffer = nullptr;
  size_t offset = 0;
  if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed ||
      napi_get_typedarray_info(env, value, &array->type, &array->count, &array->data, &buffer, &offset) != napi_ok ||
      element_bytes(array->type) == 0) {
    return false;
  }
  // An array may be longer than what a resizable buffer has left. Shared buffers, which this does not know, never shrink.
  void* start = nullptr;
  size_t bytes = 0;
  if (napi_get_arraybuffer_info(env, buffer, &start, &bytes) == napi_ok &&
      (offset > bytes || array->count > (bytes - offset) / element_bytes(array->type))) {
    array->count = 0;
  }
  return true;
}

}  // namespace bnn_node_api
