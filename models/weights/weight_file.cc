#include "models/weights/weight_file.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "models/io/json.h"
#include "models/io/mapped_file.h"
#include "models/weights/safetensors.h"
#include "models/weights/torch_file.h"

namespace cliptag {
namespace {

// Copies elements of a tensor in their order, wherever they lie.
template <typename From, typename To>
void Gather(const std::byte* from, const TensorInfo& info, size_t dimension, std::byte** to) {
  if (dimension == info.shape.size()) {
    From value;
    std::memcpy(&value, from, sizeof(value));
    const To converted = static_cast<To>(value);
    std::memcpy(*to, &converted, sizeof(converted));
    *to += sizeof(converted);
    return;
  }
  for (int64_t i = 0; i < info.shape[dimension]; ++i) {
    Gather<From, To>(from + i * info.strides[dimension] * sizeof(From), info, dimension + 1, to);
  }
}

// The strides of a tensor that lies row by row.
std::vector<int64_t> DenseStrides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// What a download leaves where it did not bring the file: a pointer of git-lfs, a page that asks to
// log in, a server's answer in JSON.
Status CheckIsNoText(std::span<const std::byte> bytes, const std::string& path) {
  std::string_view begin(reinterpret_cast<const char*>(bytes.data()),
                         std::min<size_t>(bytes.size(), 512));
  if (begin.starts_with("version https://git-lfs")) {
    return DataLoss(path +
                    " is a pointer of git-lfs, not the file itself; download it, or git lfs pull.");
  }
  if (begin.starts_with("\xEF\xBB\xBF")) begin.remove_prefix(3);
  const size_t first = begin.find_first_not_of(" \t\r\n");
  const char mark = first == std::string_view::npos ? '\0' : begin[first];
  // A header's length that begins with the same byte has zeros behind it.
  const bool text = begin.find('\0') == std::string_view::npos;
  if (text && mark == '<') {
    return DataLoss(path +
                    " is a web page (HTML), not a model's weights; download the file itself, "
                    "logged in where its page asks for that.");
  }
  if (text && (mark == '{' || mark == '[')) {
    return DataLoss(path + " is a text (JSON), not a model's weights; download the file again.");
  }
  return {};
}

}  // namespace

int BitsOf(const std::string& dtype) {
  struct Type {
    const char* name;
    int bits;
  };
  static constexpr Type kTypes[] = {{"BOOL", 8},    {"U8", 8},      {"I8", 8},   {"F8_E5M2", 8},
                                    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F4", 4},   {"F6_E2M3", 6},
                                    {"F6_E3M2", 6}, {"I16", 16},    {"U16", 16}, {"F16", 16},
                                    {"BF16", 16},   {"I32", 32},    {"U32", 32}, {"F32", 32},
                                    {"C64", 64},    {"F64", 64},    {"I64", 64}, {"U64", 64}};
  for (const Type& type : kTypes) {
    if (dtype == type.name) return type.bits;
  }
  return 0;
}

Result<HostTensor> WeightFile::Get(const std::string& tensor) const {
  const auto it = tensors_.find(tensor);
  if (it == tensors_.end()) return NotFound(path_ + ": tensor '" + tensor + "' is missing.");
  const TensorInfo& info = it->second;
  if (!info.refusal.empty()) {
    return Unsupported(path_ + ": tensor '" + tensor + "' " + info.refusal + ".");
  }
  HostTensor out;
  out.shape = info.shape;
  if (info.dtype == "F32" || info.dtype == "F64") {
    out.type = DType::kF32;
  } else if (info.dtype == "F16") {
    out.type = DType::kF16;
  } else if (info.dtype == "BF16") {
    out.type = DType::kBF16;
  } else {
    return Unsupported(path_ + ": tensor '" + tensor + "' has the type " + info.dtype +
                       "; F64, F32, F16 and BF16 are supported.");
  }
  if (info.dtype == "F64" || !info.strides.empty()) return Converted(tensor, info, out);
  out.data = bytes_.data() + info.begin;
  return out;
}

Result<HostTensor> WeightFile::Converted(const std::string& tensor, const TensorInfo& info,
                                         HostTensor out) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::byte>& copy = converted_[tensor];
  if (copy.empty() && out.elements() > 0) {
    copy.resize(static_cast<size_t>(out.elements()) * SizeOf(out.type));
    TensorInfo source = info;
    if (source.strides.empty()) source.strides = DenseStrides(source.shape);
    std::byte* to = copy.data();
    const std::byte* from = bytes_.data() + info.begin;
    if (info.dtype == "F64") {
      Gather<double, float>(from, source, 0, &to);
    } else if (info.dtype == "F32") {
      Gather<uint32_t, uint32_t>(from, source, 0, &to);
    } else {
      Gather<uint16_t, uint16_t>(from, source, 0, &to);
    }
  }
  out.data = copy.data();
  return out;
}

Result<std::unique_ptr<WeightFile>> OpenWeightFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file.bytes();
  CLIPTAG_RETURN_IF_ERROR(CheckIsNoText(bytes, path));
  const bool named_safetensors = path.ends_with(".safetensors");
  // The length of a safetensors header may begin with the byte of a pickle.
  const bool brace = bytes.size() > 8 && bytes[8] == std::byte{'{'};
  if (LooksLikeTorch(bytes) && !(named_safetensors && brace)) {
    if (!named_safetensors) return TorchFile::Open(path, std::move(file));
    return DataLoss(path +
                    " is an archive of PyTorch's, not a safetensors file; give it a name that "
                    "ends in .bin or .pt, or take the model's safetensors.");
  }
  if (!named_safetensors && !brace) {
    return DataLoss(path +
                    " is neither an archive of PyTorch's nor a safetensors file; download it "
                    "again.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(auto safetensors, SafetensorsFile::Open(path, std::move(file)));
  return std::unique_ptr<WeightFile>(std::move(safetensors));
}

Result<std::map<std::string, std::string>> ReadWeightIndex(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(path));
  if (!root.is_object() || !root.contains("weight_map") || !root["weight_map"].is_object()) {
    return DataLoss(path + " has no object 'weight_map'.");
  }
  std::map<std::string, std::string> map;
  for (const auto& [tensor, value] : root["weight_map"].items()) {
    if (!value.is_string()) {
      return DataLoss(path + ": the entry of tensor '" + tensor + "' is not a file name.");
    }
    const std::string file = value.get<std::string>();
    // A name could lead out of the model's directory.
    if (file.empty() || file == "." || file.find('/') != std::string::npos ||
        file.find('\0') != std::string::npos || file.find("..") != std::string::npos) {
      return DataLoss(path + ": tensor '" + tensor + "' names the file '" + file +
                      "'; only plain names in the same directory are allowed.");
    }
    map.emplace(tensor, file);
  }
  if (map.empty()) return DataLoss(path + ": 'weight_map' is empty.");
  return map;
}

}  // namespace cliptag
