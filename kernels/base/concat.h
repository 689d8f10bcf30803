// Messages put together from texts and numbers. Thread safety: a pure function.
#pragma once

#include <string>
#include <type_traits>

namespace cliptag {

// Concat("x is ", 3, " wide") is "x is 3 wide".
template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::string text;
  const auto append = [&text]<typename Part>(const Part& part) {
    if constexpr (std::is_arithmetic_v<Part>) {
      text += std::to_string(part);
    } else {
      text += part;
    }
  };
  (append(parts), ...);
  return text;
}

}  // namespace cliptag
