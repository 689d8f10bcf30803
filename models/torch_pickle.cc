#include "models/torch_pickle.h"

#include <string_view>
#include <utility>

#include "models/pickle_machine.h"

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
    if (value->kind == PickleKind::kDict) {
      // The last of two equal keys counts, as in Python.
      const PickleValue* inner = nullptr;
      for (size_t i = 0; i + 1 < value->items.size(); i += 2) {
        if (machine_.IsText(value->items[i], "state_dict")) {
          inner = &machine_.value(value->items[i + 1]);
        }
      }
      if (inner != nullptr) value = inner;
    }
    if (value->kind != PickleKind::kDict) {
      return DataLoss(name_ + " holds no state dict: what was saved is " + ToString(value->kind) +
                      ", not a dictionary of tensors.");
    }
    for (size_t i = 0; i + 1 < value->items.size(); i += 2) {
      const PickleValue& key = machine_.value(value->items[i]);
      const PickleValue& item = machine_.value(value->items[i + 1]);
      if (key.kind == PickleKind::kText && item.kind == PickleKind::kTensor) {
        CLIPTAG_RETURN_IF_ERROR(Add("", key.text, item));
      }
    }
    if (!out_->tensors.empty()) return {};
    return DataLoss(name_ + " holds no state dict: there is no tensor in its dictionary.");
  }

 private:
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
