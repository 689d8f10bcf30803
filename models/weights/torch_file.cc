#include "models/weights/torch_file.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "models/weights/torch_pickle.h"
#include "models/weights/zip_archive.h"

namespace cliptag {
namespace {

constexpr std::string_view kZip = "PK\x03\x04";
constexpr std::string_view kOldMagic = "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Where the tensor's bytes lie; an error where they reach out of its storage.
Status Place(const PickledTensor& tensor, uint64_t storage_begin, const std::string& what,
             TensorInfo* out) {
  out->dtype = tensor.dtype;
  out->shape = tensor.shape;
  if (tensor.shape.size() != tensor.strides.size()) {
    return DataLoss(what + " has " + std::to_string(tensor.shape.size()) + " dimensions and " +
                    std::to_string(tensor.strides.size()) + " strides.");
  }
  int64_t elements = 1, last = tensor.offset;  // of the last element
  bool overflow = tensor.offset < 0, dense = true;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    const int64_t size = tensor.shape[i], stride = tensor.strides[i];
    int64_t reach = 0;
    overflow |= size < 0 || stride < 0;
    dense &= size == 1 || stride == elements;
    overflow |= __builtin_mul_overflow(size > 0 ? size - 1 : 0, stride, &reach);
    overflow |= __builtin_add_overflow(last, reach, &last);
    overflow |= __builtin_mul_overflow(elements, size, &elements);
    if (overflow) return DataLoss(what + " has a shape, strides or an offset that cannot be.");
  }
  if (elements > 0 && last >= tensor.storage_elements) {
    return DataLoss(what + " reaches to element " + std::to_string(last) + " of a storage of " +
                    std::to_string(tensor.storage_elements) + "; the file is damaged.");
  }
  const uint64_t size = static_cast<uint64_t>(BitsOf(tensor.dtype)) / 8;
  const uint64_t first = elements > 0 ? static_cast<uint64_t>(tensor.offset) : 0;
  out->begin = storage_begin + first * size;
  out->end = elements > 0 ? storage_begin + (static_cast<uint64_t>(last) + 1) * size : out->begin;
  if (!dense && elements > 0) {
    out->strides = tensor.strides;
    // It was expanded and not copied; a few bytes of a hostile file must not become many.
    constexpr int64_t kMostRepeated = int64_t{16} << 20;
    if (elements > std::max(tensor.storage_elements, kMostRepeated)) {
      out->refusal = "repeats its elements, into more of them than is supported";
    }
  }
  return {};
}

Status CheckByteOrder(const std::map<std::string, ZipEntry>& entries, const std::string& folder,
                      const std::string& name) {
  const auto it = entries.find(folder + "byteorder");
  if (it == entries.end() || it->second.compressed || TextOf(it->second.bytes) == "little") {
    return {};
  }
  return Unsupported(name +
                     " was written on a machine with another order of bytes; save it again "
                     "on a usual one.");
}

}  // namespace

bool LooksLikeTorch(std::span<const std::byte> file) {
  const std::string_view text = TextOf(file);
  return text.substr(0, kZip.size()) == kZip || text.substr(0, 1) == "\x80";
}

Result<TorchContents> ParseTorch(std::span<const std::byte> file, const std::string& name) {
  if (TextOf(file).substr(0, kZip.size()) != kZip) {
    const bool old = TextOf(file).substr(0, kOldMagic.size()) == kOldMagic;
    return Unsupported(name +
                       (old ? " is in the format from before PyTorch 1.6"
                            : " is a bare pickle, no archive of PyTorch's") +
                       ", which is not read; load it with PyTorch and torch.save() it again, or "
                       "take its safetensors.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(const auto entries, ReadZip(file, name));
  std::string folder;
  const ZipEntry* pickle = nullptr;
  constexpr std::string_view kPickle = "/data.pkl";
  for (const auto& [path, entry] : entries) {
    if (!path.ends_with(kPickle) || path.find('/') != path.size() - kPickle.size()) continue;
    if (pickle != nullptr) return DataLoss(name + " has a data.pkl in two folders.");
    pickle = &entry;
    folder = path.substr(0, path.size() - kPickle.size() + 1);
  }
  if (pickle == nullptr) {
    return DataLoss(name + " is a zip file without a data.pkl: no archive of PyTorch's.");
  }
  if (pickle->compressed) {
    return Unsupported(name + ": '" + folder + "data.pkl' is compressed; PyTorch stores as is.");
  }
  CLIPTAG_RETURN_IF_ERROR(CheckByteOrder(entries, folder, name));
  CLIPTAG_ASSIGN_OR_RETURN(const PickledModel model, ReadTorchPickle(pickle->bytes, name));
  TorchContents out;
  out.is_script = model.is_script;
  for (const auto& [tensor_name, tensor] : model.tensors) {
    const std::string what = name + ": tensor '" + tensor_name + "'";
    if (!tensor.refusal.empty()) {
      out.tensors[tensor_name].refusal = tensor.refusal;
      continue;
    }
    const auto storage = entries.find(folder + "data/" + tensor.storage);
    if (storage == entries.end()) {
      return DataLoss(what + " lies in the entry '" + folder + "data/" + tensor.storage +
                      "', which is not there.");
    }
    if (storage->second.compressed) {
      return Unsupported(what + " is compressed; PyTorch stores tensors as they are.");
    }
    const std::span<const std::byte> bytes = storage->second.bytes;
    const uint64_t size = static_cast<uint64_t>(BitsOf(tensor.dtype)) / 8;
    if (static_cast<uint64_t>(tensor.storage_elements) > bytes.size() / size) {
      return DataLoss(what + " lies in a storage of " + std::to_string(tensor.storage_elements) +
                      " elements, of which the file holds " + std::to_string(bytes.size() / size) +
                      ".");
    }
    TensorInfo& info = out.tensors[tensor_name];
    CLIPTAG_RETURN_IF_ERROR(
        Place(tensor, static_cast<uint64_t>(bytes.data() - file.data()), what, &info));
  }
  return out;
}

Result<std::unique_ptr<WeightFile>> TorchFile::Open(const std::string& path, MappedFile file) {
  std::unique_ptr<TorchFile> out(new TorchFile(path, std::move(file)));
  CLIPTAG_ASSIGN_OR_RETURN(TorchContents contents, ParseTorch(out->bytes_, path));
  out->tensors_ = std::move(contents.tensors);
  out->is_script_ = contents.is_script;
  return std::unique_ptr<WeightFile>(std::move(out));
}

}  // namespace cliptag
