// Reads safetensors files: an 8-byte little-endian header length, a JSON header that names each
// tensor's type, shape and byte range, and the bytes. Files come from strangers: the header is
// checked so that no tensor can point outside the file, overlap another or lie about its size.
//
// Ownership: a SafetensorsFile keeps the file mapped; HostTensors that it hands out borrow from the
// mapping. Thread safety: immutable once open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"

namespace cliptag {

struct TensorInfo {
  std::string dtype;  // as the file spells it: "F16", "BF16", "I64", …
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes from the start of the file
};

// Checks the header of a whole file in memory and lists its tensors; a pure function over bytes.
// `name` is for messages.
Result<std::map<std::string, TensorInfo>> ParseSafetensors(std::span<const std::byte> file,
                                                           const std::string& name);

class SafetensorsFile {
 public:
  static Result<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  // F32, F16 and BF16 tensors; asking for another type is an error that names it.
  Result<HostTensor> Get(const std::string& tensor) const;

 private:
  SafetensorsFile() = default;

  std::string path_;
  void* address_ = nullptr;
  size_t size_ = 0;
  std::map<std::string, TensorInfo> tensors_;
};

// The shards that an index file (`*.safetensors.index.json`) names: tensor to file name, each a
// plain name in the index's own directory.
Result<std::map<std::string, std::string>> ReadSafetensorsIndex(const std::string& path);

}  // namespace cliptag
