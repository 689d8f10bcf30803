// The standard headers that most sources include, parsed once for each library with many sources
// (cpp_pch in meson.build). A source still includes what it uses: builds with -Db_pch=false, as
// tests/run.sh --sanitize makes them, have no precompiled headers.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
