// The machine that pickles are programs for, cut down to what builds values: see
// models/weights/torch_pickle.h for what it knows. It runs no code and calls nothing.
//
// Ownership: texts borrow from the pickle. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/status.h"
#include "models/weights/torch_pickle.h"

namespace cliptag {

enum class PickleKind : uint8_t {
  kNone,
  kNumber,  // int or bool
  kFloat,
  kText,
  kSequence,  // list or tuple
  kDict,
  kName,     // of a class or function: text is the module, other the name in it
  kStorage,  // text is its key, other its type as safetensors spells it, number its elements
  kTensor,   // number is its index among the tensors
  kObject,   // of a TorchScript class
  kOther,    // what weights do not need: bytes, sets, objects; text and other as of kName
};

std::string ToString(PickleKind kind);  // "a list", with the article
// A text from a hostile file, for a message: cut, with marks in place of what does not print.
std::string Printable(std::string_view text);

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  uint32_t state = 0;  // of an object: its attributes, once they are known
  int64_t number = 0;
  std::string_view text, other;
  std::vector<uint32_t> items;  // of a sequence; of a dictionary: key, value, key, value, …
};

class PickleMachine {
 public:
  static constexpr size_t kMaxValues = size_t{1} << 20;
  static constexpr size_t kMostItems = 4 * kMaxValues;  // of all sequences and dictionaries

  PickleMachine(std::span<const std::byte> pickle, const std::string& name);

  // The value that the pickle stands for.
  Result<uint32_t> Run();
  const PickleValue& value(uint32_t id) const { return values_[id]; }
  const PickledTensor& tensor(const PickleValue& v) const { return tensors_[v.number]; }
  bool IsText(uint32_t id, std::string_view text) const {
    return values_[id].kind == PickleKind::kText && values_[id].text == text;
  }

 private:
  // Of one opcode each, or of a few that are alike. Errors are kept in status_.
  void Step(uint8_t opcode);
  bool Constant(uint8_t opcode);
  bool Collection(uint8_t opcode);
  bool Memo(uint8_t opcode);
  void Global(std::string_view module, std::string_view name);
  void Reduce();
  void PushOther(std::string_view module, std::string_view name);
  void PushPairs(const PickleValue& arguments);
  void Build();
  void LoadPersistent();
  void RebuildTensor(const std::vector<uint32_t>& items);

  uint64_t Number(size_t bytes);  // little-endian
  std::string_view Text(uint64_t bytes);
  std::string_view Line();

  uint32_t New(PickleKind kind);
  void Push(PickleKind kind, int64_t number = 0, std::string_view text = {});
  void PushId(uint32_t id);
  uint32_t Pop();
  uint32_t Top();
  std::vector<uint32_t> PopToMark();
  void PushSequence(std::vector<uint32_t> items);
  bool Numbers(uint32_t sequence, std::vector<int64_t>* out) const;

  void Fail(const std::string& what);
  void Refuse(std::string_view module, std::string_view name);

  const std::string_view pickle_;
  const std::string& name_;
  size_t at_ = 0;
  bool done_ = false;
  Status status_;
  std::vector<PickleValue> values_;
  size_t items_ = 0;  // of all values
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::vector<uint32_t> memo_;
  std::vector<PickledTensor> tensors_;
};

}  // namespace cliptag
