// Reads safetensors files: an 8-byte little-endian header length, a JSON header that names each
// tensor's type, shape and byte range, and the bytes. Files come from strangers: the header is
// checked so that no tensor can point outside the file, overlap another or lie about its size.
//
// Ownership and thread safety: as WeightFile.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "models/io/mapped_file.h"
#include "models/weights/weight_file.h"

namespace cliptag {

// Checks the header of a whole file in memory and lists its tensors; a pure function over bytes.
// `name` is for messages. `metadata`, if given, gets the texts of __metadata__.
Result<std::map<std::string, TensorInfo>> ParseSafetensors(
    std::span<const std::byte> file, const std::string& name,
    std::map<std::string, std::string>* metadata = nullptr);

class SafetensorsFile : public WeightFile {
 public:
  static Result<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);
  static Result<std::unique_ptr<SafetensorsFile>> Open(const std::string& path, MappedFile file);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  using WeightFile::WeightFile;

  std::map<std::string, std::string> metadata_;
};

}  // namespace cliptag
