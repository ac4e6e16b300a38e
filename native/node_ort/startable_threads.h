#pragma once

namespace bnn_ort {

// How many threads the system starts now beside those that there are, up to `count`: they are started together, and end.
int startable_threads(int count);

}  // namespace bnn_ort
