// The properties of an element as one table: name, text, range and default, and how a value reaches
// the element and comes back. The id of a property is its place in the table, counted from 1.
//
// Thread safety: as for the functions in the table.
#pragma once

#include <gst/gst.h>

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace cliptag {

template <typename Element>
struct Property {
  struct Access {
    void (*set)(Element&, const GValue*, const char* name) = nullptr;  // null: read only
    void (*get)(const Element&, GValue*) = nullptr;
  };

  const char* name;
  const char* text;
  GParamSpec* (*make)(const char* name, const char* nick, const char* text);
  Access access;
};

template <typename Element, size_t kCount>
void InstallProperties(GObjectClass* klass, const Property<Element> (&table)[kCount]) {
  guint id = 0;
  for (const Property<Element>& property : table) {
    GParamSpec* spec = property.make(property.name, nullptr, property.text);
    g_object_class_install_property(klass, ++id, spec);
  }
}

// GValue to a setting, and back. An int is a property of type uint. An unset string is an empty
// one.
template <typename E>
requires std::is_enum_v<E>
void Take(const GValue* value, E* to) { *to = static_cast<E>(g_value_get_enum(value)); }
inline void Take(const GValue* value, bool* to) { *to = g_value_get_boolean(value); }
inline void Take(const GValue* value, guint* to) { *to = g_value_get_uint(value); }
inline void Take(const GValue* value, int* to) { *to = static_cast<int>(g_value_get_uint(value)); }
inline void Take(const GValue* value, uint64_t* to) { *to = g_value_get_uint64(value); }
inline void Take(const GValue* value, double* to) { *to = g_value_get_double(value); }
inline void Take(const GValue* value, std::string* to) {
  const gchar* text = g_value_get_string(value);
  *to = text != nullptr ? text : "";
}

template <typename E>
requires std::is_enum_v<E>
void Give(E from, GValue* value) { g_value_set_enum(value, static_cast<int>(from)); }
inline void Give(bool from, GValue* value) { g_value_set_boolean(value, from); }
inline void Give(guint from, GValue* value) { g_value_set_uint(value, from); }
inline void Give(int from, GValue* value) { g_value_set_uint(value, static_cast<guint>(from)); }
inline void Give(uint64_t from, GValue* value) { g_value_set_uint64(value, from); }
inline void Give(double from, GValue* value) { g_value_set_double(value, from); }
inline void Give(const std::string& from, GValue* value) {
  g_value_set_string(value, from.empty() ? nullptr : from.c_str());
}

}  // namespace cliptag
