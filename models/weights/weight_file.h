// A file of named tensors, whatever its format: safetensors or PyTorch's archives.
//
// Ownership: the file stays mapped; HostTensors that it hands out borrow from it. Thread safety:
// immutable once open, but for tensors that have to be converted, which a lock guards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/io/mapped_file.h"

namespace cliptag {

struct TensorInfo {
  std::string dtype;  // as safetensors spells it: "F16", "BF16", "I64", …
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;   // bytes from the start of the file
  std::vector<int64_t> strides;  // in elements; empty: row by row, without gaps
  std::string refusal;           // why Get() cannot read it; empty where it can
};

class WeightFile {
 public:
  virtual ~WeightFile() = default;
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  // F32, F16 and BF16 tensors as they lie; F64, and tensors with gaps or transposed ones, in memory
  // of their own. Asking for another type is an error that names it.
  Result<HostTensor> Get(const std::string& tensor) const;
  // Whether it is a compiled model (TorchScript), as OpenAI published its own.
  virtual bool is_script() const { return false; }
  // An error when somebody has written to the file meanwhile: what was made of its tensors is void.
  Status CheckUnchanged() const { return file_.CheckUnchanged(); }

 protected:
  WeightFile(std::string path, MappedFile file)
      : path_(std::move(path)), file_(std::move(file)), bytes_(file_.bytes()) {}

  const std::string path_;
  const MappedFile file_;
  const std::span<const std::byte> bytes_;  // of the whole file
  std::map<std::string, TensorInfo> tensors_;

 private:
  Result<HostTensor> Converted(const std::string& tensor, const TensorInfo& info,
                               HostTensor out) const;

  mutable std::mutex mutex_;
  mutable std::map<std::string, std::vector<std::byte>> converted_;  // guarded by mutex_
};

// By what the file begins with; the error says what it is instead.
Result<std::unique_ptr<WeightFile>> OpenWeightFile(const std::string& path);

// The shards that an index file (`*.index.json`) names: tensor to file name, each a plain name in
// the index's own directory.
Result<std::map<std::string, std::string>> ReadWeightIndex(const std::string& path);

// Bits of an element of this type, or 0 for a type that safetensors does not know.
int BitsOf(const std::string& dtype);

}  // namespace cliptag
