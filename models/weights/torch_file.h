// PyTorch's files of weights: the zip archives of torch.save (pytorch_model.bin and its like) and
// of TorchScript (OpenAI's own .pt files). Tensors are used where they lie in the mapped file; the
// pickle that lists them is read by models/weights/torch_pickle.h. The format from before
// PyTorch 1.6, which is no zip archive, is refused.
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

struct TorchContents {
  std::map<std::string, TensorInfo> tensors;
  bool is_script = false;
};

// Lists the tensors of a whole archive in memory, each checked to lie within its storage, and that
// within the file; a pure function over bytes. `name` is for messages.
Result<TorchContents> ParseTorch(std::span<const std::byte> file, const std::string& name);

// Whether a file that begins like this is for TorchFile, if only to be refused in words.
bool LooksLikeTorch(std::span<const std::byte> file);

class TorchFile : public WeightFile {
 public:
  static Result<std::unique_ptr<WeightFile>> Open(const std::string& path, MappedFile file);
  bool is_script() const override { return is_script_; }

 private:
  using WeightFile::WeightFile;

  bool is_script_ = false;
};

}  // namespace cliptag
