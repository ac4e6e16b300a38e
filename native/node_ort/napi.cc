#include "node_ort/napi.h"

#include <cstring>

namespace bnn_ort {
namespace {

[[noreturn]] void fail(const std::string& message) { throw Problem{kUsageProblem, message}; }

bool is_undefined(napi_env env, napi_value value) { return bnn_node_api::type_of(env, value) == napi_undefined; }

}  // namespace

napi_value undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value new_object(napi_env env, std::initializer_list<std::pair<const char*, napi_value>> properties) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  for (const auto& [name, value] : properties) napi_set_named_property(env, object, name, value);
  return object;
}

napi_value new_error(napi_env env, const Problem& problem) {
  napi_value error = nullptr;
  napi_create_error(env, new_text(env, problem.code), new_text(env, problem.message), &error);
  return error;
}

void throw_error(napi_env env, const Problem& problem) {
  bool pending = false;
  napi_value exception = nullptr;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) napi_get_and_clear_last_exception(env, &exception);
  napi_throw(env, new_error(env, problem));
}

bool is_string(napi_env env, napi_value value) { return bnn_node_api::type_of(env, value) == napi_string; }

std::string text_of(napi_env env, napi_value value) {
  std::string text;
  if (!bnn_node_api::read_text(env, value, &text)) fail("a string was expected");
  return text;
}

int64_t integer_of(napi_env env, napi_value value) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) fail("a number was expected");
  if (!(number >= -9007199254740991.0 && number <= 9007199254740991.0) ||
      number != static_cast<double>(static_cast<int64_t>(number))) {
    fail(std::to_string(number) + " is no integer");
  }
  return static_cast<int64_t>(number);
}

Bytes bytes_of(napi_env env, napi_value value) {
  bnn_node_api::TypedArray array;
  if (!bnn_node_api::read_typed_array(env, value, &array)) fail("a typed array was expected");
  const size_t count = array.count * bnn_node_api::element_bytes(array.type);
  Bytes copy{std::unique_ptr<uint8_t[]>(new uint8_t[count + 1]), count};
  if (count > 0) std::memcpy(copy.data.get(), array.data, count);
  return copy;
}

std::vector<napi_value> elements_of(napi_env env, napi_value array) {
  bool is_array = false;
  uint32_t length = 0;
  if (napi_is_array(env, array, &is_array) != napi_ok || !is_array || napi_get_array_length(env, array, &length) != napi_ok) {
    fail("an array was expected");
  }
  std::vector<napi_value> elements(length);
  for (uint32_t i = 0; i < length; i++) {
    if (napi_get_element(env, array, i, &elements[i]) != napi_ok) fail("an array element cannot be read");
  }
  return elements;
}

std::vector<std::string> texts_of(napi_env env, napi_value array) {
  std::vector<std::string> texts;
  for (const napi_value element : elements_of(env, array)) texts.push_back(text_of(env, element));
  return texts;
}

Args::Args(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMost;
  if (napi_get_cb_info(env, info, &count, values_, nullptr, nullptr) != napi_ok) fail("the arguments cannot be read");
}

Object::Object(napi_env env, napi_value value) : env_(env), value_(value) {
  if (bnn_node_api::type_of(env, value) != napi_object) fail("an object was expected");
}

napi_value Object::get(const char* name) const {
  napi_value value = nullptr;
  if (napi_get_named_property(env_, value_, name, &value) != napi_ok) fail(std::string("property ") + name + " cannot be read");
  return value;
}

std::string Object::text(const char* name, const char* fallback) const {
  const napi_value value = get(name);
  return is_undefined(env_, value) ? fallback : text_of(env_, value);
}

int Object::integer(const char* name, int fallback) const {
  const napi_value value = get(name);
  if (is_undefined(env_, value)) return fallback;
  const int64_t integer = integer_of(env_, value);
  if (integer < -1'000'000 || integer > 1'000'000) fail(std::string("property ") + name + " is " + std::to_string(integer));
  return static_cast<int>(integer);
}

std::vector<std::pair<std::string, std::string>> Object::texts(const char* name) const {
  std::vector<std::pair<std::string, std::string>> texts;
  const napi_value value = get(name);
  if (is_undefined(env_, value)) return texts;
  napi_value names = nullptr;
  if (napi_get_property_names(env_, value, &names) != napi_ok) fail(std::string("property ") + name + " is no object");
  for (const std::string& key : texts_of(env_, names)) texts.emplace_back(key, Object(env_, value).text(key.c_str()));
  return texts;
}

napi_value Task::start(napi_env env, std::unique_ptr<Task> task) {
  napi_value promise = nullptr;
  napi_value name = new_text(env, "bnn_ort");
  Task* data = task.get();
  if (napi_create_promise(env, &data->deferred_, &promise) != napi_ok ||
      napi_create_async_work(env, nullptr, name, on_execute, on_complete, data, &data->work_) != napi_ok ||
      napi_queue_async_work(env, data->work_) != napi_ok) {
    fail("Node could not queue the work");
  }
  // on_complete deletes it.
  task.release();
  return promise;
}

void Task::on_execute(napi_env, void* data) {
  auto* task = static_cast<Task*>(data);
  task->failed_ = !guard(task->problem_, [task] { task->execute(); });
}

void Task::on_complete(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  napi_delete_async_work(env, task->work_);
  // Cancelled: the environment is going away, nobody waits for the promise.
  if (status != napi_ok) return;
  napi_value value = nullptr;
  if (!task->failed_) task->failed_ = !guard(task->problem_, [&] { value = task->result(env); });
  if (!task->failed_ && value != nullptr) {
    napi_resolve_deferred(env, task->deferred_, value);
    return;
  }
  bool pending = false;
  napi_value error = nullptr;
  napi_is_exception_pending(env, &pending);
  if (pending) napi_get_and_clear_last_exception(env, &error);
  if (task->problem_.message.empty()) task->problem_.message = "Node could not make the result";
  napi_reject_deferred(env, task->deferred_, error != nullptr ? error : new_error(env, task->problem_));
}

}  // namespace bnn_ort
