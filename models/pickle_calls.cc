// What names in a pickle stand for, and what calling them gives: see models/pickle_machine.h.
#include <utility>

#include "models/pickle_machine.h"

namespace cliptag {
namespace {

constexpr size_t kMaxDimensions = 16;

// torch.FloatStorage and its like; empty for a type that no weights have.
std::string_view TypeOfStorage(std::string_view name) {
  struct Type {
    std::string_view name, dtype;
  };
  static constexpr Type kTypes[] = {
      {"FloatStorage", "F32"},  {"HalfStorage", "F16"},         {"BFloat16Storage", "BF16"},
      {"DoubleStorage", "F64"}, {"LongStorage", "I64"},         {"IntStorage", "I32"},
      {"ShortStorage", "I16"},  {"CharStorage", "I8"},          {"ByteStorage", "U8"},
      {"BoolStorage", "BOOL"},  {"ComplexFloatStorage", "C64"},
  };
  for (const Type& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return {};
}

bool IsScriptClass(std::string_view module) {
  return module == "__torch__" || module.substr(0, 10) == "__torch__.";
}

bool IsKnown(std::string_view module, std::string_view name) {
  if (IsScriptClass(module)) return true;
  if (module == "torch") return !TypeOfStorage(name).empty();
  if (module == "collections") return name == "OrderedDict";
  if (module == "torch._utils") return name == "_rebuild_tensor_v2" || name == "_rebuild_parameter";
  return module == "torch.jit._pickle" &&
         (name == "build_intlist" || name == "build_tensorlist" || name == "build_doublelist" ||
          name == "build_boollist" || name == "restore_type_tag");
}

// Letters of a name in a hostile file, for a message.
std::string Printable(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out(text.substr(0, kMost));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

}  // namespace

void PickleMachine::Global(std::string_view module, std::string_view name) {
  if (!status_.ok()) return;
  if (!IsKnown(module, name)) return Refuse(module, name);
  Push(PickleKind::kName, 0, module);
  if (status_.ok()) values_.back().other = name;
}

// Calls a name with a tuple of arguments; only a few names mean anything here.
void PickleMachine::Reduce() {
  const PickleValue &arguments = values_[Pop()], &callee = values_[Pop()];
  if (!status_.ok()) return;
  if (callee.kind != PickleKind::kName || arguments.kind != PickleKind::kSequence) {
    return Fail("calls what is no function");
  }
  if (IsScriptClass(callee.text)) return Push(PickleKind::kObject);
  if (callee.other == "OrderedDict") {
    if (arguments.items.empty()) return Push(PickleKind::kDict);
    return Fail("makes an OrderedDict of something else than nothing");
  }
  if (callee.other == "_rebuild_tensor_v2") return RebuildTensor(arguments);
  const bool passes_on = callee.other == "_rebuild_parameter" || callee.text == "torch.jit._pickle";
  if (passes_on && !arguments.items.empty()) return PushId(arguments.items[0]);
  Fail("calls " + std::string(callee.text) + "." + std::string(callee.other) +
       " with what it does not take");
}

// Attributes of an object; of anything else (the version numbers of a state dict) they mean nothing
// here.
void PickleMachine::Build() {
  const uint32_t state = Pop();
  PickleValue& target = values_[Top()];
  if (status_.ok() && target.kind == PickleKind::kObject) target.state = state;
}

// ('storage', torch.FloatStorage, '0', 'cpu', 1024)
void PickleMachine::LoadPersistent() {
  const PickleValue& id = values_[Pop()];
  if (!status_.ok()) return;
  if (id.kind != PickleKind::kSequence || id.items.size() < 5 || !IsText(id.items[0], "storage")) {
    return Fail("refers to something that is no storage");
  }
  const PickleValue &type = values_[id.items[1]], &key = values_[id.items[2]],
                    &elements = values_[id.items[4]];
  if (type.kind != PickleKind::kName || type.text != "torch" || key.kind != PickleKind::kText ||
      elements.kind != PickleKind::kNumber || elements.number < 0) {
    return Fail("describes a storage by something else than type, name and length");
  }
  const std::string_view dtype = TypeOfStorage(type.other), text = key.text;
  const int64_t number = elements.number;
  Push(PickleKind::kStorage, number, text);
  if (status_.ok()) values_.back().other = dtype;
}

// (storage, offset, shape, strides, requires_grad, hooks)
void PickleMachine::RebuildTensor(const PickleValue& arguments) {
  const std::vector<uint32_t>& items = arguments.items;
  PickledTensor tensor;
  const bool known = items.size() >= 4 && values_[items[0]].kind == PickleKind::kStorage &&
                     values_[items[1]].kind == PickleKind::kNumber &&
                     Numbers(items[2], &tensor.shape) && Numbers(items[3], &tensor.strides);
  if (!known) return Fail("describes a tensor by something else than storage, offset and shape");
  const PickleValue& storage = values_[items[0]];
  tensor.dtype = storage.other;
  tensor.storage = storage.text;
  tensor.storage_elements = storage.number;
  tensor.offset = values_[items[1]].number;
  tensors_.push_back(std::move(tensor));
  Push(PickleKind::kTensor, static_cast<int64_t>(tensors_.size() - 1));
}

bool PickleMachine::Numbers(uint32_t sequence, std::vector<int64_t>* out) const {
  const PickleValue& value = values_[sequence];
  if (value.kind != PickleKind::kSequence || value.items.size() > kMaxDimensions) return false;
  for (const uint32_t item : value.items) {
    if (values_[item].kind != PickleKind::kNumber) return false;
    out->push_back(values_[item].number);
  }
  return true;
}

void PickleMachine::Refuse(std::string_view module, std::string_view name) {
  const std::string full = Printable(module) + "." + Printable(name);
  status_ = Unsupported(name_ + ": its pickle asks for " + full +
                        ", which is no part of a state dict, and nothing from a pickle is run; "
                        "save the model's state_dict() alone, or take its safetensors.");
}

}  // namespace cliptag
