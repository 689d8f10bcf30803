#include "models/json.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

namespace cliptag {
namespace {

// nlohmann's messages open with its own code and position; what follows the position is the reason.
std::string Reason(std::string what) {
  const size_t column = what.find("column ");
  const size_t colon = column == std::string::npos ? what.rfind("] ") : what.find(": ", column);
  if (colon != std::string::npos) what = what.substr(colon + 2);
  return what;
}

// What the library lets pass and we do not; thrown and caught within ParseJson.
struct Refused {
  std::string reason;
  size_t offset;
};

// Reads the text for the library and knows how far it has come.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *position_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor old = *this;
    ++*this;
    return old;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** position_;
};

// Watches depth and duplicate keys while the library builds the document, and notes where things
// are.
class Watcher {
 public:
  Watcher(std::string_view text, const char** position, int max_depth,
          std::map<std::string, size_t>* positions)
      : text_(text), position_(position), max_depth_(max_depth), positions_(positions) {}

  bool operator()(int, Json::parse_event_t event, const Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        Begin(event == Json::parse_event_t::array_start);
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        levels_.pop_back();
        if (!levels_.empty()) levels_.back().end = Offset();
        break;
      case Json::parse_event_t::key:
        Key(value.get<std::string>());
        break;
      case Json::parse_event_t::value:
        Element();
        break;
    }
    return true;
  }

 private:
  struct Level {
    bool array = false;
    size_t index = 0;            // of the next element
    size_t end = 0;              // where the last element, or the opening bracket, ended
    std::string path;            // of the last member or element begun
    std::string base;            // of the array or object itself
    std::set<std::string> keys;  // seen so far
  };

  size_t Offset() const { return static_cast<size_t>(*position_ - text_.data()); }

  // An element of an array begins; members of objects are known by their keys.
  void Element() {
    if (levels_.empty() || !levels_.back().array) return;
    Level& level = levels_.back();
    level.path = level.base + "/" + std::to_string(level.index++);
    // The cursor is behind the element, or one further; look for its start from the last one's end.
    const size_t start = text_.find_first_not_of(" \t\r\n,", level.end);
    if (positions_ != nullptr) positions_->emplace(level.path, start);
    level.end = Offset();
  }
  void Begin(bool array) {
    Element();
    if (static_cast<int>(levels_.size()) >= max_depth_) {
      throw Refused{
          "objects and arrays are nested more than " + std::to_string(max_depth_) + " deep",
          Offset() - 1};
    }
    Level level;
    level.array = array;
    level.base = levels_.empty() ? "" : levels_.back().path;
    level.end = Offset();
    levels_.push_back(std::move(level));
  }
  void Key(const std::string& key) {
    Level& level = levels_.back();
    // The cursor stands behind the closing quote; an escape in the key would move this a little.
    const size_t start = Offset() - std::min(Offset(), key.size() + 2);
    if (!level.keys.insert(key).second) {
      throw Refused{"the key \"" + key + "\" is given twice in one object", start};
    }
    level.path = level.base + "/" + key;
    if (positions_ != nullptr) positions_->emplace(level.path, start);
  }

  const std::string_view text_;
  const char** const position_;
  const int max_depth_;
  std::map<std::string, size_t>* const positions_;
  std::vector<Level> levels_;
};

}  // namespace

std::string LineAndColumn(std::string_view text, size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const size_t line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  const size_t column = 1 + std::count_if(before.begin() + start, before.end(), [](char c) {
                          return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
                        });
  return std::to_string(line) + ":" + std::to_string(column);
}

Result<Json> ParseJson(std::string_view text, const std::string& name, int max_depth,
                       std::map<std::string, size_t>* positions) {
  // A byte order mark is not JSON, but editors leave it there.
  const size_t skip = text.substr(0, 3) == "\xEF\xBB\xBF" ? 3 : 0;
  const char* position = text.data() + skip;
  const auto error = [&](size_t offset, const std::string& what) {
    return DataLoss(name + ":" + LineAndColumn(text, offset) + ": " + what + ".");
  };
  try {
    return Json::parse(Cursor(text.data() + skip, &position),
                       Cursor(text.data() + text.size(), &position),
                       Watcher(text, &position, max_depth, positions));
  } catch (const Json::parse_error& e) {
    return error(skip + (e.byte > 0 ? e.byte - 1 : 0), "not valid JSON: " + Reason(e.what()));
  } catch (const Refused& refused) {
    return error(refused.offset, refused.reason);
  } catch (const std::exception& e) {  // a number out of range, or no memory
    return error(static_cast<size_t>(position - text.data()),
                 "not valid JSON: " + Reason(e.what()));
  }
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return NotFound("Cannot read " + path + ": " + std::generic_category().message(errno) + ".");
  }
  if (S_ISDIR(info.st_mode)) return InvalidArgument(path + " is a directory, not a file.");
  try {
    std::ifstream in(path, std::ios::binary);
    if (!in) return NotFound("Cannot open " + path + ".");
    std::string content;
    std::vector<char> block(1 << 16);
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
      content.append(block.data(), static_cast<size_t>(in.gcount()));
      if (content.size() > max_bytes) {
        return InvalidArgument(path + " is larger than the " + std::to_string(max_bytes) +
                               " bytes that such a file may have.");
      }
    }
    return content;
  } catch (const std::exception& e) {
    return DataLoss("Cannot read " + path + ": " + e.what() + ".");
  }
}

Result<Json> ReadJsonFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseJson(text, path);
}

}  // namespace cliptag
