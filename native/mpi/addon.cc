// The communicator for JavaScript. Compiled by `bnn setup mpi` against the MPI that is there; loaded only in processes of an MPI job.
#include "mpi/communicator.h"

#include <node_api.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace bnn_mpi {
namespace {

// Never deleted: its thread outlives what ends a process.
Communicator* communicator = nullptr;

Communicator& started() {
  if (communicator == nullptr) throw std::runtime_error("MPI was not started");
  return *communicator;
}

class Args {
 public:
  Args(napi_env env, napi_callback_info info) : env_(env) { napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr); }
  napi_env env() const { return env_; }
  double number(size_t i) const {
    double number = 0;
    if (i >= count_ || napi_get_value_double(env_, values_[i], &number) != napi_ok) throw std::runtime_error("a number was expected");
    return number;
  }
  std::string text(size_t i) const {
    size_t length = 0;
    if (i >= count_ || napi_get_value_string_utf8(env_, values_[i], nullptr, 0, &length) != napi_ok)
      throw std::runtime_error("a string was expected");
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, values_[i], text.data(), length + 1, &length);
    return text;
  }
  struct Array {
    napi_typedarray_type type;
    void* data;
    size_t length;
  };
  Array array(size_t i) const {
    Array array{};
    bool is_typed = false;
    if (i < count_) napi_is_typedarray(env_, values_[i], &is_typed);
    if (!is_typed || napi_get_typedarray_info(env_, values_[i], &array.type, &array.length, &array.data, nullptr, nullptr) != napi_ok)
      throw std::runtime_error("a typed array was expected");
    constexpr size_t kMostBytes = size_t{1} << 30;
    if (array.length > kMostBytes / 8) throw std::runtime_error("the array is too long for one message");
    return array;
  }

 private:
  napi_env env_;
  size_t count_ = 3;
  napi_value values_[3] = {};
};

napi_value to_number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value to_text(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value to_flag(napi_env env, bool flag) {
  napi_value value = nullptr;
  napi_get_boolean(env, flag, &value);
  return value;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) { napi_set_named_property(env, object, name, value); }

// start(patience in seconds): {rank, size, localRank, localSize, library, hosts}
napi_value start(const Args& args) {
  if (communicator == nullptr) communicator = new Communicator(args.number(0));
  const Facts& facts = communicator->facts();
  napi_env env = args.env();
  napi_value result = nullptr, hosts = nullptr;
  napi_create_object(env, &result);
  set(env, result, "rank", to_number(env, facts.rank));
  set(env, result, "size", to_number(env, facts.size));
  set(env, result, "localRank", to_number(env, facts.local_rank));
  set(env, result, "localSize", to_number(env, facts.local_size));
  set(env, result, "library", to_text(env, facts.library));
  napi_create_array(env, &hosts);
  for (size_t i = 0; i < facts.hosts.size(); i++) napi_set_element(env, hosts, static_cast<uint32_t>(i), to_text(env, facts.hosts[i]));
  set(env, result, "hosts", hosts);
  return result;
}

// beginSum(Float32Array | Float64Array): number
napi_value begin_sum(const Args& args) {
  const Args::Array array = args.array(0);
  const auto count = static_cast<int64_t>(array.length);
  if (array.type == napi_float32_array) return to_number(args.env(), started().begin_sum(static_cast<float*>(array.data), count));
  if (array.type == napi_float64_array) return to_number(args.env(), started().begin_sum(static_cast<double*>(array.data), count));
  throw std::runtime_error("an array of floats was expected");
}

// beginBroadcast(Uint8Array): number
napi_value begin_broadcast(const Args& args) {
  const Args::Array array = args.array(0);
  if (array.type != napi_uint8_array) throw std::runtime_error("an array of bytes was expected");
  return to_number(args.env(), started().begin_broadcast(static_cast<char*>(array.data), static_cast<int64_t>(array.length)));
}

// wait(id): boolean
napi_value wait(const Args& args) { return to_flag(args.env(), started().wait(static_cast<int>(args.number(0)))); }
// isDone(id): boolean
napi_value is_done(const Args& args) { return to_flag(args.env(), started().is_done(static_cast<int>(args.number(0)))); }
// failure(): string, empty where there is none
napi_value failure(const Args& args) { return to_text(args.env(), started().failure()); }

// counters(): {bytesSent, messages}
napi_value counters(const Args& args) {
  const Counters counters = started().counters();
  napi_value result = nullptr;
  napi_create_object(args.env(), &result);
  set(args.env(), result, "bytesSent", to_number(args.env(), counters.bytes_sent));
  set(args.env(), result, "messages", to_number(args.env(), counters.messages));
  return result;
}

// takeTimes(): Float64Array, four of each operation: begun, waited for, done, waited until; in milliseconds
napi_value take_times(const Args& args) {
  const std::vector<Times> times = started().take_times();
  napi_value buffer = nullptr, array = nullptr;
  void* data = nullptr;
  napi_create_arraybuffer(args.env(), times.size() * sizeof(Times), &data, &buffer);
  std::copy(times.begin(), times.end(), static_cast<Times*>(data));
  napi_create_typedarray(args.env(), napi_float64_array, times.size() * 4, buffer, 0, &array);
  return array;
}

// report(text)
napi_value report(const Args& args) {
  started().report(args.text(0));
  return nullptr;
}

// finalize()
napi_value finalize(const Args&) {
  started().finalize();
  return nullptr;
}

// abort(code): does not return
napi_value abort(const Args& args) { started().abort(static_cast<int>(args.number(0))); }

template <napi_value (*kFunction)(const Args&)>
napi_value method(napi_env env, napi_callback_info info) {
  try {
    return kFunction(Args(env, info));
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  set(env, exports, name, function);
}

}  // namespace
}  // namespace bnn_mpi

NAPI_MODULE_INIT() {
  using namespace bnn_mpi;
  define(env, exports, "start", method<start>);
  define(env, exports, "beginSum", method<begin_sum>);
  define(env, exports, "beginBroadcast", method<begin_broadcast>);
  define(env, exports, "wait", method<wait>);
  define(env, exports, "isDone", method<is_done>);
  define(env, exports, "failure", method<failure>);
  define(env, exports, "counters", method<counters>);
  define(env, exports, "takeTimes", method<take_times>);
  define(env, exports, "report", method<report>);
  define(env, exports, "finalize", method<finalize>);
  define(env, exports, "abort", method<abort>);
#if defined(OPEN_MPI)
  set(env, exports, "family", to_text(env, "openmpi"));
#elif defined(MPICH_VERSION) || defined(I_MPI_VERSION)
  set(env, exports, "family", to_text(env, "mpich"));
#else
  set(env, exports, "family", to_text(env, "unknown"));
#endif
  return exports;
}
