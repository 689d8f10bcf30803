#include "models/weights/safetensors.h"

#include <algorithm>
#include <utility>

#include "models/io/json.h"

namespace cliptag {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxDimensions = 16;

// Builds the list of tensors while the header is parsed, so that a hostile header never becomes a
// document: {name: {"dtype": string, "shape": [unsigned…], "data_offsets": [unsigned, unsigned]}}.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  bool key(std::string& name) override {
    if (depth_ == 1) {
      tensor_ = name;
      if (!names_.emplace(name, TensorInfo{}).second) return Fail("is listed twice");
      metadata_ = name == "__metadata__";
      seen_ = 0;
    } else {
      field_ = name;
      if (metadata_) return true;
      const int bit = name == "dtype" ? 1 : name == "shape" ? 2 : name == "data_offsets" ? 4 : 0;
      if (bit == 0) return Fail("has the unknown field '" + name + "'");
      if (seen_ & bit) return Fail("has '" + name + "' twice");
      seen_ |= bit;
    }
    return true;
  }
  bool start_object(std::size_t) override {
    if (++depth_ > 2 || in_array_) return Fail("is nested too deeply");
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !metadata_ && seen_ != 7)
      return Fail("lacks dtype, shape or data_offsets");
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_array_ || metadata_ || field_ == "dtype") return Fail(Unexpected());
    in_array_ = true;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    TensorInfo& info = names_[tensor_];
    if (field_ == "data_offsets") {
      if (numbers_.size() != 2) return Fail("does not have two data_offsets");
      info.begin = numbers_[0];
      info.end = numbers_[1];
      return true;
    }
    for (uint64_t n : numbers_) {
      if (n > uint64_t{1} << 62) return Fail("has a shape that overflows");
      info.shape.push_back(static_cast<int64_t>(n));
    }
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    if (!in_array_) return Fail(Unexpected());
    if (numbers_.size() >= kMaxDimensions) return Fail("has too many dimensions");
    numbers_.push_back(value);
    return true;
  }
  bool string(std::string& value) override {
    if (metadata_ && depth_ == 2) {
      texts_[field_] = std::move(value);
      return true;
    }
    if (depth_ != 2 || in_array_ || field_ != "dtype") return Fail(Unexpected());
    names_[tensor_].dtype = value;
    return true;
  }
  bool number_integer(int64_t) override { return Fail("has a negative number in " + Where()); }
  bool number_float(double, const std::string&) override {
    return Fail("has a number that is no whole number, or overflows, in " + Where());
  }
  bool null() override { return Fail(Unexpected()); }
  bool boolean(bool) override { return Fail(Unexpected()); }
  bool binary(Json::binary_t&) override { return Fail(Unexpected()); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    error_ = "the header is not valid JSON at byte " + std::to_string(8 + position);
    return false;
  }

  std::map<std::string, TensorInfo>& names() { return names_; }
  std::map<std::string, std::string>& texts() { return texts_; }
  const std::string& error() const { return error_; }

 private:
  std::string Where() const { return field_.empty() ? "the header" : "'" + field_ + "'"; }
  std::string Unexpected() const { return "has a value of the wrong kind in " + Where(); }
  bool Fail(const std::string& what) {
    error_ = tensor_.empty() ? "the header " + what : "tensor '" + tensor_ + "' " + what;
    return false;
  }

  int depth_ = 0;
  int seen_ = 0;  // bits of the fields read: dtype 1, shape 2, data_offsets 4
  bool metadata_ = false, in_array_ = false;
  std::string tensor_, field_, error_;
  std::vector<uint64_t> numbers_;
  std::map<std::string, TensorInfo> names_;
  std::map<std::string, std::string> texts_;  // of __metadata__
};

// Bytes that dtype and shape ask for, or an error text.
Result<uint64_t> WantedBytes(const TensorInfo& info, const std::string& what) {
  const int bits = BitsOf(info.dtype);
  if (bits == 0) return DataLoss(what + " has the unknown type '" + info.dtype + "'.");
  uint64_t elements = 1;
  for (int64_t d : info.shape) {
    if (__builtin_mul_overflow(elements, static_cast<uint64_t>(d), &elements)) {
      return DataLoss(what + " has a shape that overflows.");
    }
  }
  uint64_t total_bits = 0;
  if (__builtin_mul_overflow(elements, static_cast<uint64_t>(bits), &total_bits)) {
    return DataLoss(what + " has a shape that overflows.");
  }
  if (total_bits % 8 != 0) return DataLoss(what + " does not fill whole bytes.");
  return total_bits / 8;
}

// Every byte after the header belongs to exactly one tensor: no overlap, no hole, nothing outside.
Status CheckRanges(const std::map<std::string, TensorInfo>& tensors, uint64_t data_bytes,
                   const std::string& file) {
  std::vector<std::pair<const std::string*, const TensorInfo*>> order;
  for (const auto& [name, info] : tensors) {
    const std::string what = file + ": tensor '" + name + "'";
    if (info.begin > info.end || info.end > data_bytes) {
      return DataLoss(what + " lies at bytes " + std::to_string(info.begin) + " to " +
                      std::to_string(info.end) + " of " + std::to_string(data_bytes) +
                      "; the file is truncated or damaged.");
    }
    CLIPTAG_ASSIGN_OR_RETURN(const uint64_t wanted, WantedBytes(info, what));
    if (wanted != info.end - info.begin) {
      return DataLoss(what + " has " + std::to_string(info.end - info.begin) +
                      " bytes, but its type and shape make " + std::to_string(wanted) + ".");
    }
    order.emplace_back(&name, &info);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  uint64_t position = 0;
  for (const auto& [name, info] : order) {
    if (info->begin != position) {
      return DataLoss(file + ": tensor '" + *name +
                      (info->begin < position ? "' overlaps the one before it."
                                              : "' leaves a hole before it."));
    }
    position = info->end;
  }
  if (position != data_bytes) {
    return DataLoss(file + ": " + std::to_string(data_bytes - position) +
                    " bytes at the end belong to no tensor.");
  }
  return {};
}

}  // namespace

Result<std::map<std::string, TensorInfo>> ParseSafetensors(
    std::span<const std::byte> file, const std::string& name,
    std::map<std::string, std::string>* metadata) {
  if (file.size() < 8) {
    return DataLoss(name + " is too short for a safetensors file (" + std::to_string(file.size()) +
                    " bytes); download it again.");
  }
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i)
    header_bytes = header_bytes << 8 | std::to_integer<uint64_t>(file[i]);
  if (header_bytes > kMaxHeaderBytes) {
    return DataLoss(name + " is no safetensors file: it announces a header of " +
                    std::to_string(header_bytes) + " bytes.");
  }
  if (header_bytes > file.size() - 8) {
    return DataLoss(name + " is truncated: its header has " + std::to_string(header_bytes) +
                    " bytes, the file " + std::to_string(file.size()) + ".");
  }
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8, header_bytes);
  if (header.empty() || header[0] != '{') {
    return DataLoss(name + " is no safetensors file: its header does not begin with '{'.");
  }
  HeaderReader reader;
  try {
    if (!Json::sax_parse(header.begin(), header.end(), &reader)) {
      return DataLoss(name + ": " + reader.error() + ".");
    }
  } catch (const std::exception& e) {
    return DataLoss(name + ": the header cannot be read: " + e.what() + ".");
  }
  auto& tensors = reader.names();
  tensors.erase("__metadata__");
  if (metadata != nullptr) *metadata = std::move(reader.texts());
  CLIPTAG_RETURN_IF_ERROR(CheckRanges(tensors, file.size() - 8 - header_bytes, name));
  for (auto& [tensor, info] : tensors) {
    info.begin += 8 + header_bytes;
    info.end += 8 + header_bytes;
  }
  return std::move(tensors);
}

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  return Open(path, std::move(file));
}

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path,
                                                               MappedFile file) {
  std::unique_ptr<SafetensorsFile> out(new SafetensorsFile(path, std::move(file)));
  CLIPTAG_ASSIGN_OR_RETURN(out->tensors_, ParseSafetensors(out->bytes_, path, &out->metadata_));
  return out;
}

}  // namespace cliptag
