#include "models/weights/torch_pickle.h"

#include <string_view>
#include <utility>

#include "models/weights/pickle_machine.h"
#include "models/weights/tensor_names.h"

namespace cliptag {
namespace {

constexpr int kMaxDepth = 64;           // of modules within modules
constexpr size_t kMaxVisits = 1 << 18;  // of attributes: a hostile pickle names one module often

class Flattener {
 public:
  Flattener(const PickleMachine& machine, const std::string& name, PickledModel* out)
      : machine_(machine), name_(name), out_(out) {}

  Status Read(uint32_t root) {
    const PickleValue* value = &machine_.value(root);
    out_->is_script = value->kind == PickleKind::kObject;
    if (out_->is_script) return Module(*value, "", 0);
    // Where there is a "state_dict", open_clip takes it whatever stands beside it.
    if (const PickleValue* inner = Item(*value, "state_dict")) value = inner;
    if (value->kind != PickleKind::kDict) {
      const bool object = value->kind == PickleKind::kOther && !value->other.empty();
      return DataLoss(name_ + " holds no state dict: what was saved is " + ToString(value->kind) +
                      (object ? " of " + Printable(value->text) + "." + Printable(value->other)
                              : std::string()) +
                      ", not a dictionary of tensors; save the model's state_dict() alone.");
    }
    CLIPTAG_RETURN_IF_ERROR(Collect(*value, "", 0));
    CLIPTAG_ASSIGN_OR_RETURN(const Dictionary* dictionary, Choose(*value));
    return AddAll(*dictionary->value);
  }

 private:
  // One that has tensors of its own.
  struct Dictionary {
    std::string path;  // "model", "model.ema"; empty for the outermost
    const PickleValue* value;
    size_t tensors = 0;
    bool has_tower = false;
  };

  // The last of two equal keys counts, as in Python; null where there is none.
  const PickleValue* Item(const PickleValue& dict, std::string_view key) const {
    const PickleValue* found = nullptr;
    if (dict.kind != PickleKind::kDict) return found;
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      if (machine_.IsText(dict.items[i], key)) found = &machine_.value(dict.items[i + 1]);
    }
    return found;
  }

  Status Collect(const PickleValue& dict, const std::string& path, int depth) {
    constexpr int kMostDepth = 3;
    Dictionary own{path, &dict};
    std::vector<std::string> names;
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      if (++visits_ > kMaxVisits) return DataLoss(name_ + ": its dictionaries hold each other.");
      const PickleValue& key = machine_.value(dict.items[i]);
      const PickleValue& item = machine_.value(dict.items[i + 1]);
      if (key.kind != PickleKind::kText) continue;
      if (item.kind == PickleKind::kTensor || IsUnreadTensor(item)) {
        CLIPTAG_RETURN_IF_ERROR(Charge(key.text.size()));
        names.push_back(Unwrapped(key.text));
      } else if (item.kind == PickleKind::kDict && depth < kMostDepth) {
        CLIPTAG_RETURN_IF_ERROR(
            Collect(item, (path.empty() ? "" : path + ".") + Printable(key.text), depth + 1));
      }
    }
    own.tensors = names.size();
    own.has_tower = !ModelPrefixes(names).empty();
    if (own.tensors > 0) found_.push_back(own);
    return {};
  }

  // The only one with an image tower; without any, the outermost, or the only one.
  Result<const Dictionary*> Choose(const PickleValue& outermost) const {
    std::vector<const Dictionary*> towers, all;
    for (const Dictionary& one : found_) {
      all.push_back(&one);
      if (one.has_tower) towers.push_back(&one);
      if (one.value == &outermost && !one.has_tower) all = {&one};
    }
    const std::vector<const Dictionary*>& these = towers.empty() ? all : towers;
    if (these.size() == 1 || (towers.empty() && !all.empty() && all[0]->value == &outermost)) {
      return these[0];
    }
    if (these.empty()) {
      return DataLoss(name_ + " holds no state dict: there is no tensor in its dictionary" +
                      Keys(outermost) + ".");
    }
    std::string list;
    for (size_t i = 0; i < these.size() && i < 4; ++i) {
      list += (i == 0 ? "" : ", ") +
              (these[i]->path.empty() ? "the outermost" : "'" + these[i]->path + "'") + " (" +
              std::to_string(these[i]->tensors) + " tensors)";
    }
    return DataLoss(name_ + " holds " + std::to_string(these.size()) +
                    " dictionaries of tensors: " + list + "; save the one that is meant alone.");
  }

  // What a dictionary holds, for a message.
  std::string Keys(const PickleValue& dict) const {
    std::string list;
    for (size_t i = 0; i + 1 < dict.items.size() && i < 12; i += 2) {
      const PickleValue& key = machine_.value(dict.items[i]);
      if (key.kind != PickleKind::kText) continue;
      list += (list.empty() ? " of '" : ", '") + Printable(key.text) + "'";
    }
    return list;
  }

  Status AddAll(const PickleValue& dict) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = machine_.value(dict.items[i]);
      const PickleValue& item = machine_.value(dict.items[i + 1]);
      if (key.kind != PickleKind::kText) continue;
      if (item.kind == PickleKind::kTensor) {
        CLIPTAG_RETURN_IF_ERROR(Add("", key.text, item));
      } else if (IsUnreadTensor(item)) {
        CLIPTAG_RETURN_IF_ERROR(Charge(key.text.size()));
        PickledTensor& tensor = out_->tensors[std::string(key.text)];
        tensor = {};
        tensor.refusal = "was saved by " + Printable(item.text) + "." + Printable(item.other) +
                         ", which is not read";
      }
    }
    return {};
  }

  // Quantized, sparse or NumPy's.
  static bool IsUnreadTensor(const PickleValue& item) {
    return item.kind == PickleKind::kOther &&
           (item.other.starts_with("_rebuild") || item.other.starts_with("_reconstruct") ||
            item.other.ends_with("Storage"));
  }

  Status Charge(size_t name_bytes) {
    constexpr size_t kMaxNameBytes = size_t{64} << 20;
    name_bytes_ += name_bytes;
    if (name_bytes_ <= kMaxNameBytes) return {};
    return DataLoss(name_ + ": the names of its tensors are too long.");
  }

  Status Add(const std::string& prefix, std::string_view name, const PickleValue& value) {
    CLIPTAG_RETURN_IF_ERROR(Charge(prefix.size() + name.size()));
    out_->tensors[prefix + std::string(name)] = machine_.tensor(value);
    return {};
  }

  Status Module(const PickleValue& module, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) {
      return DataLoss(name_ + ": its modules are nested more than " + std::to_string(kMaxDepth) +
                      " deep.");
    }
    const PickleValue& state = machine_.value(module.state);
    if (state.kind != PickleKind::kDict) return {};  // a module without attributes
    for (size_t i = 0; i + 1 < state.items.size(); i += 2) {
      if (++visits_ > kMaxVisits) return DataLoss(name_ + ": its modules hold each other.");
      const PickleValue& key = machine_.value(state.items[i]);
      const PickleValue& item = machine_.value(state.items[i + 1]);
      if (key.kind != PickleKind::kText) continue;
      if (item.kind == PickleKind::kTensor) {
        CLIPTAG_RETURN_IF_ERROR(Add(prefix, key.text, item));
      } else if (item.kind == PickleKind::kObject) {
        CLIPTAG_RETURN_IF_ERROR(Charge(prefix.size() + key.text.size()));
        CLIPTAG_RETURN_IF_ERROR(Module(item, prefix + std::string(key.text) + ".", depth + 1));
      }
    }
    return {};
  }

  const PickleMachine& machine_;
  const std::string& name_;
  PickledModel* const out_;
  std::vector<Dictionary> found_;
  size_t visits_ = 0, name_bytes_ = 0;
};

}  // namespace

Result<PickledModel> ReadTorchPickle(std::span<const std::byte> pickle, const std::string& name) {
  PickleMachine machine(pickle, name);
  CLIPTAG_ASSIGN_OR_RETURN(const uint32_t root, machine.Run());
  PickledModel out;
  CLIPTAG_RETURN_IF_ERROR(Flattener(machine, name, &out).Read(root));
  return out;
}

}  // namespace cliptag
