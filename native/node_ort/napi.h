// The little of Node-API that this addon needs, with every answer checked: wrong arguments throw Problem, which `method` turns into a
// JavaScript exception and `Task` into a rejected promise.
#pragma once

#include "node_api/values.h"
#include "node_ort/runtime.h"

#include <node_api.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bnn_ort {

napi_value undefined(napi_env env);
using bnn_node_api::define;
using bnn_node_api::new_number;
using bnn_node_api::new_text;
napi_value new_object(napi_env env, std::initializer_list<std::pair<const char*, napi_value>> properties);
// An Error with a property `code`.
napi_value new_error(napi_env env, const Problem& problem);
// Throws it, in the place of an exception that Node-API itself left pending.
void throw_error(napi_env env, const Problem& problem);

struct Bytes {
  std::unique_ptr<uint8_t[]> data;
  size_t count = 0;
};

bool is_string(napi_env env, napi_value value);
std::string text_of(napi_env env, napi_value value);
int64_t integer_of(napi_env env, napi_value value);
// A copy of the elements of a typed array: while a task works, its owner may resize their memory or hand it on.
Bytes bytes_of(napi_env env, napi_value value);
std::vector<napi_value> elements_of(napi_env env, napi_value array);
std::vector<std::string> texts_of(napi_env env, napi_value array);

// The arguments of a call; absent ones are undefined.
class Args {
 public:
  Args(napi_env env, napi_callback_info info);
  napi_env env() const { return env_; }
  napi_value operator[](size_t i) const { return values_[i]; }

 private:
  static constexpr size_t kMost = 5;
  napi_env env_;
  napi_value values_[kMost] = {};
};

// A JavaScript object that is read.
class Object {
 public:
  Object(napi_env env, napi_value value);
  // Undefined when absent.
  napi_value get(const char* name) const;
  std::string text(const char* name) const { return text_of(env_, get(name)); }
  std::string text(const char* name, const char* fallback) const;
  int integer(const char* name, int fallback) const;
  // The properties of an object of texts; none when it is absent.
  std::vector<std::pair<std::string, std::string>> texts(const char* name) const;

 private:
  napi_env env_;
  napi_value value_;
};

// A JavaScript array that is filled.
class Array {
 public:
  explicit Array(napi_env env) : env_(env) { napi_create_array(env, &value_); }
  void push(napi_value element) { napi_set_element(env_, value_, length_++, element); }
  napi_value value() const { return value_; }

 private:
  napi_env env_;
  napi_value value_ = nullptr;
  uint32_t length_ = 0;
};

// Work on one of Node's worker threads that settles a promise.
class Task {
 public:
  // On the JavaScript thread.
  virtual ~Task() = default;
  // On a worker thread; may throw Problem or std::exception.
  virtual void execute() = 0;
  // On the JavaScript thread, after `execute` succeeded; null when JavaScript has an exception pending. May throw as above.
  virtual napi_value result(napi_env env) = 0;

  // Queues the task and returns its promise.
  static napi_value start(napi_env env, std::unique_ptr<Task> task);

 private:
  static void on_execute(napi_env env, void* data);
  static void on_complete(napi_env env, napi_status status, void* data);

  napi_async_work work_ = nullptr;
  napi_deferred deferred_ = nullptr;
  bool failed_ = false;
  Problem problem_{kRunProblem, ""};
};

// Calls `body` and returns false with `problem` filled in when it throws.
template <typename Body>
bool guard(Problem& problem, const Body& body) {
  try {
    body();
    return true;
  } catch (const Problem& thrown) {
    problem = thrown;
  } catch (const std::exception& error) {
    // std::bad_alloc, above all.
    problem = Problem{kRunProblem, error.what()};
  }
  return false;
}

// Wraps a function of Args as a JavaScript function.
template <napi_value (*kFunction)(const Args&)>
napi_value method(napi_env env, napi_callback_info info) {
  Problem problem{kRunProblem, ""};
  napi_value value = nullptr;
  if (!guard(problem, [&] { value = kFunction(Args(env, info)); })) throw_error(env, problem);
  return value;
}

}  // namespace bnn_ort
