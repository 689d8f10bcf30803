#include "models/io/json.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace cliptag {
namespace {

constexpr size_t kShown = 80;  // bytes of a key in a message

std::string Shown(const std::string& key) {
  return key.size() <= kShown ? key : key.substr(0, kShown) + "...";
}

// nlohmann's messages open with its own code and position; what follows the position is the reason.
std::string Reason(std::string what) {
  const size_t column = what.find("column ");
  const size_t colon = column == std::string::npos ? what.rfind("] ") : what.find(": ", column);
  if (colon != std::string::npos) what = what.substr(colon + 2);
  return what;
}

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

// What readers of JSON's events have in common: the depth, and what was wrong.
class Events : public nlohmann::json_sax<Json> {
 public:
  bool binary(Json::binary_t&) override { return false; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    error_ = "not valid JSON: " + Reason(e.what());
    offset_ = position > 0 ? position - 1 : 0;
    return false;
  }
  const std::string& error() const { return error_; }
  // Where: from the text's begin, or before the place where the cursor stands.
  std::optional<size_t> offset() const { return offset_; }
  size_t back() const { return back_; }

 protected:
  bool Fail(std::string what, size_t back = 0) {
    error_ = std::move(what);
    back_ = back;
    return false;
  }

 private:
  std::string error_;
  std::optional<size_t> offset_;
  size_t back_ = 0;
};

// Builds the document, within bounds; a key that an object has already is an error.
class Builder : public Events {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}
  Json Take() { return std::move(root_); }

  bool null() override { return Add(nullptr) != nullptr; }
  bool boolean(bool value) override { return Add(value) != nullptr; }
  bool number_integer(int64_t value) override { return Add(value) != nullptr; }
  bool number_unsigned(uint64_t value) override { return Add(value) != nullptr; }
  bool number_float(double value, const std::string&) override { return Add(value) != nullptr; }
  bool string(std::string& value) override { return Add(std::move(value)) != nullptr; }
  bool start_object(std::size_t) override { return Begin(Json::object()); }
  bool start_array(std::size_t) override { return Begin(Json::array()); }
  bool end_object() override { return End(); }
  bool end_array() override { return End(); }
  bool key(std::string& name) override {
    const auto [at, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(name, nullptr);
    if (!is_new)
      return Fail("the key \"" + Shown(name) + "\" is given twice in one object", name.size() + 2);
    member_ = &at->second;
    return true;
  }

 private:
  // Where the value has its place for good: containers that are open do not move their last.
  Json* Add(Json value) {
    if (++nodes_ > limits_.max_nodes) {
      Fail("there are more than " + std::to_string(limits_.max_nodes) + " values");
      return nullptr;
    }
    if (open_.empty()) return &(root_ = std::move(value));
    if (open_.back()->is_object()) return &(*member_ = std::move(value));
    auto& array = open_.back()->get_ref<Json::array_t&>();
    return &array.emplace_back(std::move(value));
  }
  bool Begin(Json empty) {
    if (static_cast<int>(open_.size()) >= limits_.max_depth) {
      return Fail(
          "objects and arrays are nested more than " + std::to_string(limits_.max_depth) + " deep",
          1);
    }
    open_.push_back(Add(std::move(empty)));
    return open_.back() != nullptr;
  }
  bool End() {
    open_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  Json root_;
  std::vector<Json*> open_;  // objects and arrays that have not ended, the outermost first
  Json* member_ = nullptr;   // of the innermost object, whose value comes
  size_t nodes_ = 0;
};

// Finds where the value with a JSON pointer begins, or the key of the member that it is.
class Finder : public Events {
 public:
  Finder(std::string_view text, const char** position, std::string_view pointer)
      : text_(text), position_(position), pointer_(pointer) {}
  size_t found() const { return found_; }

  bool null() override { return Element(); }
  bool boolean(bool) override { return Element(); }
  bool number_integer(int64_t) override { return Element(); }
  bool number_unsigned(uint64_t) override { return Element(); }
  bool number_float(double, const std::string&) override { return Element(); }
  bool string(std::string&) override { return Element(); }
  bool start_object(std::size_t) override { return Begin(false); }
  bool start_array(std::size_t) override { return Begin(true); }
  bool end_object() override { return End(); }
  bool end_array() override { return End(); }
  bool key(std::string& name) override {
    // The cursor stands behind the closing quote; an escape in the key would move this a little.
    return Reach(name, Offset() - std::min(Offset(), name.size() + 2));
  }

 private:
  struct Level {
    bool array = false;
    size_t index = 0;     // of the next element
    size_t end = 0;       // where the last element, or the opening bracket, ended
    size_t matched = 0;   // bytes of the pointer that lead here
    bool on_way = false;  // the pointer leads through here
  };

  size_t Offset() const { return static_cast<size_t>(*position_ - text_.data()); }

  // A member or an element begins at `start`; false ends the search.
  bool Reach(std::string_view name, size_t start) {
    Level& level = levels_.back();
    const std::string_view rest = pointer_.substr(level.matched);
    const bool matches = level.on_way && rest.size() > name.size() && rest[0] == '/' &&
                         rest.substr(1, name.size()) == name &&
                         (rest.size() == name.size() + 1 || rest[name.size() + 1] == '/');
    next_ = matches ? level.matched + 1 + name.size() : 0;
    if (matches) found_ = start;  // the nearest so far
    return !matches || next_ < pointer_.size();
  }
  bool Element() {
    if (levels_.empty() || !levels_.back().array) return true;
    Level& level = levels_.back();
    // The cursor is behind the element, or one further; look for its start from the last one's end.
    const size_t start = text_.find_first_not_of(" \t\r\n,", level.end);
    level.end = Offset();
    return Reach(std::to_string(level.index++), start);
  }
  bool Begin(bool array) {
    const bool outermost = levels_.empty();
    if (!Element()) return false;
    levels_.push_back({array, 0, Offset(), next_, outermost || next_ > 0});
    next_ = 0;
    return true;
  }
  bool End() {
    levels_.pop_back();
    if (!levels_.empty()) levels_.back().end = Offset();
    return true;
  }

  const std::string_view text_;
  const char** const position_;
  const std::string_view pointer_;
  std::vector<Level> levels_;
  size_t next_ = 0;  // bytes of the pointer that lead to the value that comes; 0: it does not
  size_t found_ = 0;
};

// A byte order mark is not JSON, but editors leave it there.
size_t BeginOf(std::string_view text) { return text.starts_with("\xEF\xBB\xBF") ? 3 : 0; }

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

Result<Json> ParseJson(std::string_view text, const std::string& name, const JsonLimits& limits) {
  const size_t begin = BeginOf(text);
  const char* position = text.data() + begin;
  const auto error = [&](size_t offset, const std::string& what) {
    return DataLoss(name + ":" + LineAndColumn(text, offset) + ": " + what + ".");
  };
  try {
    Builder builder(limits);
    if (Json::sax_parse(Cursor(position, &position), Cursor(text.data() + text.size(), &position),
                        &builder)) {
      return builder.Take();
    }
    const size_t here = static_cast<size_t>(position - text.data());
    return error(
        builder.offset() ? begin + *builder.offset() : here - std::min(here, builder.back()),
        builder.error());
  } catch (const std::exception& e) {  // no memory
    return error(static_cast<size_t>(position - text.data()),
                 std::string("it cannot be read: ") + e.what());
  }
}

std::string LocateJson(std::string_view text, std::string_view pointer) {
  const char* position = text.data() + BeginOf(text);
  try {
    Finder finder(text, &position, pointer);
    (void)Json::sax_parse(Cursor(position, &position), Cursor(text.data() + text.size(), &position),
                          &finder);
    return LineAndColumn(text, finder.found());
  } catch (const std::exception&) {  // no memory
    return LineAndColumn(text, 0);
  }
}

Result<Json> ReadJsonFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseJson(text, path);
}

}  // namespace cliptag
