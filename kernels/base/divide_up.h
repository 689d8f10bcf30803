// Division of counts that rounds up. Thread safety: a pure function.
#pragma once

#include <cstdint>

namespace cliptag {

constexpr int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace cliptag
