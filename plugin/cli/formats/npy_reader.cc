#include "plugin/cli/formats/npy_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "models/io/mapped_file.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

// The text after 'KEY': in the header, a Python dictionary.
std::string_view After(std::string_view header, std::string_view key) {
  const size_t at = header.find("'" + std::string(key) + "':");
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + key.size() + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

// "(80, 512)": exactly two numbers.
bool ReadShape(std::string_view text, int64_t* rows, int64_t* cols) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto skip = [&](char wanted) {
    while (at < end && *at == ' ') ++at;
    if (at == end || *at != wanted) return false;
    ++at;
    while (at < end && *at == ' ') ++at;
    return true;
  };
  const auto number = [&](int64_t* out) {
    const auto [next, error] = std::from_chars(at, end, *out);
    at = next;
    return error == std::errc() && *out >= 0;
  };
  return skip('(') && number(rows) && skip(',') && number(cols) && skip(')');
}

float Value(const char* data, size_t size) {
  if (size != 8) return ElementOf({data, size == 4 ? DType::kF32 : DType::kF16, {}}, 0);
  double value;
  std::memcpy(&value, data, 8);
  return static_cast<float>(value);
}

}  // namespace

Result<NpyMatrix> ReadNpyMatrix(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (bytes.size() < 12 || bytes.substr(0, 6) != "\x93NUMPY") {
    return DataLoss(path + " is no NPY file; save one with numpy.save().");
  }
  const auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<uint8_t>(bytes[at])); };
  const bool first = byte(6) == 1;  // later versions have a longer length
  const size_t begin = first ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (first ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > bytes.size() - begin) return DataLoss(path + " ends within its header.");
  const std::string_view header = bytes.substr(begin, length);
  bytes.remove_prefix(begin + length);
  const std::string_view type = After(header, "descr").substr(0, 5);
  const size_t size = type == "'<f4'" ? 4 : type == "'<f2'" ? 2 : type == "'<f8'" ? 8 : 0;
  if (size == 0) {
    return Unsupported(path + " holds numbers of type " + std::string(type) +
                       "; float16, float32 and float64 are read (little-endian): save it with "
                       "numpy.save() after .astype('<f4').");
  }
  const bool by_columns = After(header, "fortran_order").starts_with("True");
  NpyMatrix out;
  int64_t elements = 0;
  if (!ReadShape(After(header, "shape"), &out.rows, &out.cols) ||
      __builtin_mul_overflow(out.rows, out.cols, &elements)) {
    return DataLoss(path + " is no matrix of rows and columns.");
  }
  if (static_cast<uint64_t>(elements) > bytes.size() / size) {
    return DataLoss(path + " is truncated: " + std::to_string(out.rows) + " rows of " +
                    std::to_string(out.cols) + " numbers need more bytes than it has.");
  }
  out.values.reserve(static_cast<size_t>(elements));
  for (int64_t row = 0; row < out.rows; ++row) {
    for (int64_t col = 0; col < out.cols; ++col) {
      const int64_t at = by_columns ? col * out.rows + row : row * out.cols + col;
      out.values.push_back(Value(bytes.data() + at * static_cast<int64_t>(size), size));
    }
  }
  CLIPTAG_RETURN_IF_ERROR(file.CheckUnchanged());
  return out;
}

}  // namespace cliptag
