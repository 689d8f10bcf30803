// The weights of a model: one file, or the shards of an index, safetensors or PyTorch's archives,
// looked up by tensor name, without what was wrapped around the model before it was saved.
//
// Ownership: keeps the files mapped; the HostTensors it hands out borrow from it. Immutable once
// open, but for the list of what was asked for, which a lock guards; thread safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "kernels/host_memory.h"
#include "models/weights/layout.h"
#include "models/weights/weight_file.h"

namespace cliptag {

// The file or index of that layout in the directory: safetensors before PyTorch's archives, and in
// the open_clip layout, where there is nothing else, the only file that ends in .pt. Empty if there
// is none.
std::string FindWeights(const std::string& directory, Layout layout);
// All that end in .pt, sorted.
std::vector<std::string> FindArchives(const std::string& directory);
bool IsSafetensors(const std::string& path);  // or an index of such

class Weights {
 public:
  // Errors name the file that is missing, or what is wrong in it.
  static Result<std::unique_ptr<Weights>> Open(const std::string& directory, Layout layout);
  static Result<std::unique_ptr<Weights>> OpenFile(const std::string& path);  // or an index

  bool Has(const std::string& tensor) const { return places_.count(tensor) > 0; }
  // The tensor, which must have this shape; the error names file, tensor, wanted and found shape.
  Result<HostTensor> Get(const std::string& tensor, std::vector<int64_t> shape) const;
  std::vector<int64_t> Shape(const std::string& tensor) const;  // empty also where it is missing
  std::vector<std::string> Names() const;
  bool is_script() const { return shards_.size() == 1 && shards_[0]->is_script(); }
  // An error that names a file which was written to since it was opened.
  Status CheckUnchanged() const;
  // A single number, stored with the shape [] or [1].
  Result<float> Scalar(const std::string& tensor) const;
  // An error that names a tensor which neither Get nor Scalar was asked for and which is not known
  // to mean nothing: then the model is not the one that its configuration describes.
  Status CheckAllAreUsed(const std::string& directory) const;

 private:
  struct Place {
    const WeightFile* file = nullptr;
    std::string stored;  // its name there
  };

  Weights() = default;
  Status OpenShards(const std::string& index_path);
  Status Arrange();
  void MarkUsed(const std::string& tensor) const;

  std::string path_;    // of the file or index, for messages
  std::string prefix_;  // that every tensor's name has in this file
  std::vector<std::unique_ptr<WeightFile>> shards_;
  std::map<std::string, Place> places_;  // by tensor name, without prefix and wrappers
  std::vector<std::string> others_;      // stored outside of the prefix
  mutable std::mutex mutex_;
  mutable std::set<std::string> used_;  // guarded by mutex_
};

// Element `index` of a tensor, whose data may be unaligned.
inline float ElementOf(const HostTensor& tensor, int64_t index) {
  return LoadAsFloat(tensor.data, tensor.type, index);
}

// The rows of a weight, (rows, columns), with zeros up to `padded` columns.
std::vector<char> PadRows(const HostTensor& weight, int64_t columns, int64_t padded);

}  // namespace cliptag
