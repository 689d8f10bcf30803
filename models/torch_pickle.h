// Reads the pickle in a PyTorch archive without running anything: only the opcodes that state dicts
// are written with, and only the names that belong to tensors and dictionaries (OrderedDict,
// torch._utils._rebuild_tensor_v2, torch.FloatStorage, …; the classes of TorchScript as mere
// bundles of attributes). Any other opcode or name is an error that says which.
//
// Pickles come from strangers: values and their nesting are bounded, lists may hold themselves.
// Thread safety: a pure function over bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

// A view into a storage, as the pickle describes it; nothing about it has been checked yet.
struct PickledTensor {
  std::string dtype;    // "F32", …
  std::string storage;  // its entry's name in the archive, after "data/"
  int64_t storage_elements = 0;
  int64_t offset = 0;  // in elements, as the strides
  std::vector<int64_t> shape, strides;
};

struct PickledModel {
  std::map<std::string, PickledTensor> tensors;
  bool is_script = false;  // attributes of TorchScript modules, "a.b.c" from nested ones
};

// The tensors of a state dict: of the pickled dictionary, of its "state_dict" where it has one, or
// of a TorchScript module. `name` is the file's, for messages.
Result<PickledModel> ReadTorchPickle(std::span<const std::byte> pickle, const std::string& name);

}  // namespace cliptag
