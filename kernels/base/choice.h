// Enums that users choose from. A table has a row for each value; properties, options and their
// help are made from it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace cliptag {

template <typename E>
struct Choice {
  E value;
  const char* name;
  const char* help;  // one line that begins with a capital; null: not for users
};

template <typename E, size_t N>
constexpr const char* NameOf(const Choice<E> (&table)[N], E value) {
  for (const Choice<E>& row : table) {
    if (row.value == value) return row.name;
  }
  return "unknown";
}

template <typename E, size_t N>
constexpr std::optional<E> FindChoice(const Choice<E> (&table)[N], std::string_view name) {
  for (const Choice<E>& row : table) {
    if (row.help != nullptr && row.name == name) return row.value;
  }
  return std::nullopt;
}

}  // namespace cliptag
