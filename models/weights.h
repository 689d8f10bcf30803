// The weights of a model directory: one safetensors file or the shards of an index, looked up by
// tensor name, with the prefixes that the references strip.
//
// Ownership: keeps the files mapped; the HostTensors it hands out borrow from it. Immutable once
// open; thread safe.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config.h"
#include "models/safetensors.h"

namespace cliptag {

// The safetensors file or index of that layout in the directory; empty if there is none.
std::string FindWeights(const std::string& directory, Layout layout);

class Weights {
 public:
  // Errors name the file that is missing, or what is wrong in it.
  static Result<std::unique_ptr<Weights>> Open(const std::string& directory, Layout layout);

  bool Has(const std::string& tensor) const { return files_.count(prefix_ + tensor) > 0; }
  // The tensor, which must have this shape; the error names file, tensor, wanted and found shape.
  Result<HostTensor> Get(const std::string& tensor, std::vector<int64_t> shape) const;
  // A single number, stored with the shape [] or [1].
  Result<float> Scalar(const std::string& tensor) const;

 private:
  Weights() = default;
  void StripPrefix();

  std::string path_;    // of the file or index, for messages
  std::string prefix_;  // that every tensor's name has in this file
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::map<std::string, const SafetensorsFile*> files_;  // by tensor name
};

// One element of a tensor as a float; `data` may be unaligned.
float ToFloat(const void* data, DType type);

}  // namespace cliptag
