// Reads the pickle in a PyTorch archive without running anything: only the opcodes that checkpoints
// are written with, and of the names only those that belong to tensors and dictionaries
// (OrderedDict, torch._utils._rebuild_tensor_v2, torch.FloatStorage, …; the classes of TorchScript
// as mere bundles of attributes). What else a checkpoint holds, an optimizer's state or the
// arguments of a training, is skipped. Names that only attacks need are an error.
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
  std::string refusal;  // why nothing else is known of it; empty where it is
};

struct PickledModel {
  std::map<std::string, PickledTensor> tensors;
  bool is_script = false;  // attributes of TorchScript modules, "a.b.c" from nested ones
};

// The tensors of a state dict: of the pickled dictionary's "state_dict", where it has one, or else
// of that dictionary in it which holds CLIP's tensors; or of a TorchScript module. `name` is the
// file's, for messages.
Result<PickledModel> ReadTorchPickle(std::span<const std::byte> pickle, const std::string& name);

}  // namespace cliptag
