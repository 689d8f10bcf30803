// What names in a pickle stand for, and what calling them gives: see
// models/weights/pickle_machine.h.
#include <algorithm>
#include <initializer_list>
#include <utility>

#include "models/weights/pickle_machine.h"

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

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> texts) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

bool IsKnown(std::string_view module, std::string_view name) {
  if (IsScriptClass(module)) return true;
  if (module == "torch") return !TypeOfStorage(name).empty();
  if (module == "collections") return name == "OrderedDict" || name == "defaultdict";
  if (module == "torch._utils") {
    return IsOneOf(name,
                   {"_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"});
  }
  if (module == "torch._tensor") return name == "_rebuild_from_type_v2";
  return module == "torch.jit._pickle" &&
         IsOneOf(name, {"build_intlist", "build_tensorlist", "build_doublelist", "build_boollist",
                        "restore_type_tag"});
}

// Nothing is run, whatever it is; but a file that asks for these is an attack on whoever loads it
// with PyTorch, and no model is worth that.
bool IsAttack(std::string_view module, std::string_view name) {
  const std::string_view package = module.substr(0, module.find('.'));
  if (package == "builtins" || package == "__builtin__") {
    return !IsOneOf(name, {"bool",      "bytearray", "bytes",    "complex", "dict",  "float",
                           "frozenset", "getattr",   "int",      "list",    "long",  "object",
                           "range",     "set",       "slice",    "str",     "tuple", "type",
                           "unicode",   "xrange",    "Ellipsis", "NoneType"});
  }
  return IsOneOf(package, {"ctypes", "importlib", "marshal", "nt", "os", "pickle", "posix", "pty",
                           "runpy", "shutil", "socket", "subprocess", "sys", "webbrowser"});
}

}  // namespace

std::string Printable(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out(text.substr(0, kMost));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

void PickleMachine::Global(std::string_view module, std::string_view name) {
  if (!status_.ok()) return;
  if (IsAttack(module, name)) return Refuse(module, name);
  if (!IsKnown(module, name)) return PushOther(module, name);
  Push(PickleKind::kName, 0, module);
  if (status_.ok()) values_.back().other = name;
}

void PickleMachine::PushOther(std::string_view module, std::string_view name) {
  Push(PickleKind::kOther, 0, module);
  if (status_.ok()) values_.back().other = name;
}

// Calls a name with a tuple of arguments; only a few names mean anything here, and of the others'
// answers nothing is known.
void PickleMachine::Reduce() {
  const PickleValue &arguments = values_[Pop()], &callee = values_[Pop()];
  if (!status_.ok()) return;
  if (callee.kind == PickleKind::kOther) {
    const std::string_view module = callee.text, name = callee.other;
    return PushOther(module, name);
  }
  if (callee.kind != PickleKind::kName || arguments.kind != PickleKind::kSequence) {
    return Fail("calls what is no function");
  }
  if (IsScriptClass(callee.text)) return Push(PickleKind::kObject);
  if (callee.other == "defaultdict") return Push(PickleKind::kDict);
  if (callee.other == "OrderedDict") return PushPairs(arguments);
  if (callee.other == "_rebuild_tensor_v2") return RebuildTensor(arguments.items);
  if (callee.other == "_rebuild_from_type_v2") {  // (function, class, arguments, attributes)
    const bool known = arguments.items.size() >= 3 &&
                       values_[arguments.items[0]].other == "_rebuild_tensor_v2" &&
                       values_[arguments.items[2]].kind == PickleKind::kSequence;
    return known ? RebuildTensor(values_[arguments.items[2]].items)
                 : PushOther("torch._tensor", "_rebuild_from_type_v2");
  }
  const bool passes_on =
      callee.other.starts_with("_rebuild_parameter") || callee.text == "torch.jit._pickle";
  if (passes_on && !arguments.items.empty()) return PushId(arguments.items[0]);
  Fail("calls " + std::string(callee.text) + "." + std::string(callee.other) +
       " with what it does not take");
}

// Of nothing, or as Python 2 has it of a list of pairs.
void PickleMachine::PushPairs(const PickleValue& arguments) {
  std::vector<uint32_t> items;
  if (!arguments.items.empty()) {
    for (const uint32_t id : values_[arguments.items[0]].items) {
      const PickleValue& pair = values_[id];
      if (pair.kind != PickleKind::kSequence || pair.items.size() != 2) {
        return Fail("makes an OrderedDict of something else than pairs");
      }
      items.insert(items.end(), pair.items.begin(), pair.items.end());
    }
    items_ += items.size();
    if (items_ > kMostItems || values_[arguments.items[0]].kind != PickleKind::kSequence) {
      return Fail("makes an OrderedDict of something else than pairs");
    }
  }
  Push(PickleKind::kDict);
  if (status_.ok()) values_.back().items = std::move(items);
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
  if (type.kind == PickleKind::kOther) {  // of a type that weights do not have
    const std::string_view module = type.text, name = type.other;
    return PushOther(module, name);
  }
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
void PickleMachine::RebuildTensor(const std::vector<uint32_t>& items) {
  PickledTensor tensor;
  if (!items.empty() && values_[items[0]].kind == PickleKind::kOther) return PushId(items[0]);
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
                        ", which no checkpoint needs, and nothing from a pickle is run; take the "
                        "model's safetensors, from a place that you trust.");
}

}  // namespace cliptag
