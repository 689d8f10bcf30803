#include "models/weights/pickle_machine.h"

#include <algorithm>
#include <utility>

namespace cliptag {
namespace {

// A model of a thousand tensors, saved with its optimizer, is a program of half a megabyte.
constexpr size_t kMaxBytes = size_t{32} << 20;
constexpr uint32_t kNothing = 0;  // the value None, which is always there; also "not in the memo"

// The opcodes, as Python's pickletools calls them.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPersistentId = 'Q',
  kReduce = 'R',
  kBuild = 'b',
  kGlobal = 'c',
  kNone = 'N',
  kInt4 = 'J',
  kInt1 = 'K',
  kInt2 = 'M',
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kTrue = 0x88,
  kFalse = 0x89,
  kFloat = 'G',
  kText4 = 'X',
  kText1 = 0x8c,
  kText8 = 0x8d,
  kString1 = 'U',  // of Python 2
  kString4 = 'T',
  kBytes1 = 'C',
  kBytes4 = 'B',
  kBytes8 = 0x8e,
  kByteArray8 = 0x96,
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kAppend = 'a',
  kAppends = 'e',
  kSetItem = 's',
  kSetItems = 'u',
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObject = 0x81,
  kNewObjectEx = 0x92,
  kGet1 = 'h',
  kGet4 = 'j',
  kPut1 = 'q',
  kPut4 = 'r',
  kMemoize = 0x94,
  kStackGlobal = 0x93,
  kProtocol = 0x80,
  kFrame = 0x95,
};

}  // namespace

std::string ToString(PickleKind kind) {
  switch (kind) {
    case PickleKind::kNone:
      return "None";
    case PickleKind::kNumber:
    case PickleKind::kFloat:
      return "a number";
    case PickleKind::kText:
      return "a text";
    case PickleKind::kSequence:
      return "a list";
    case PickleKind::kDict:
      return "a dictionary";
    case PickleKind::kName:
      return "a name";
    case PickleKind::kStorage:
      return "a storage";
    case PickleKind::kTensor:
      return "a tensor";
    case PickleKind::kObject:
    case PickleKind::kOther:
      return "an object";
  }
  return "";
}

PickleMachine::PickleMachine(std::span<const std::byte> pickle, const std::string& name)
    : pickle_(reinterpret_cast<const char*>(pickle.data()), pickle.size()), name_(name) {
  values_.emplace_back();  // kNothing
}

Result<uint32_t> PickleMachine::Run() {
  if (pickle_.size() > kMaxBytes) {
    Fail("is larger than the " + std::to_string(kMaxBytes) + " bytes that a state dict's may have");
  }
  while (status_.ok() && !done_) {
    if (at_ >= pickle_.size()) {
      Fail("ends too early");
      break;
    }
    Step(static_cast<uint8_t>(pickle_[at_++]));
  }
  const uint32_t result = Pop();
  if (!status_.ok()) return status_;
  return result;
}

void PickleMachine::Step(uint8_t opcode) {
  if (Constant(opcode) || Collection(opcode) || Memo(opcode)) return;
  switch (opcode) {
    case kProtocol:
      if (const uint64_t protocol = Number(1); status_.ok() && protocol > 5) {
        Fail("is of the unknown protocol " + std::to_string(protocol));
      }
      return;
    case kFrame:  // a length, of which nothing follows here
      Number(8);
      return;
    case kStop:
      done_ = true;
      return;
    case kPop:
      Pop();
      return;
    case kGlobal: {
      const std::string_view module = Line();
      Global(module, Line());
      return;
    }
    case kStackGlobal: {
      const PickleValue &name = values_[Pop()], &module = values_[Pop()];
      if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) {
        return Fail("names something by what is no text");
      }
      Global(module.text, name.text);
      return;
    }
    case kPersistentId:
      return LoadPersistent();
    case kNewObjectEx:
      Pop();  // arguments with names, behind the others
      [[fallthrough]];
    case kNewObject:
    case kReduce:
      return Reduce();
    case kBuild:
      return Build();
    default:
      Fail("has the opcode " + std::to_string(opcode) + ", which no state dict needs");
  }
}

bool PickleMachine::Constant(uint8_t opcode) {
  switch (opcode) {
    case kNone:
      PushId(kNothing);
      return true;
    case kTrue:
    case kFalse:
      Push(PickleKind::kNumber, opcode == kTrue);
      return true;
    case kInt1:
      Push(PickleKind::kNumber, static_cast<int64_t>(Number(1)));
      return true;
    case kInt2:
      Push(PickleKind::kNumber, static_cast<int64_t>(Number(2)));
      return true;
    case kInt4:
      Push(PickleKind::kNumber, static_cast<int32_t>(static_cast<uint32_t>(Number(4))));
      return true;
    case kLong1:
    case kLong4: {
      const uint64_t size = Number(opcode == kLong1 ? 1 : 4);
      if (size > 8) {  // a seed; no size is so large
        Text(size);
        PushOther("", "");
        return true;
      }
      uint64_t value = Number(size);
      if (size > 0 && size < 8 && (value >> (8 * size - 1)) != 0) value |= ~uint64_t{0} << 8 * size;
      Push(PickleKind::kNumber, static_cast<int64_t>(value));
      return true;
    }
    case kFloat:
      Number(8);
      Push(PickleKind::kFloat);
      return true;
    case kText1:
    case kString1:
      Push(PickleKind::kText, 0, Text(Number(1)));
      return true;
    case kText4:
    case kString4:
      Push(PickleKind::kText, 0, Text(Number(4)));
      return true;
    case kText8:
      Push(PickleKind::kText, 0, Text(Number(8)));
      return true;
    case kBytes1:
    case kBytes4:
    case kBytes8:
    case kByteArray8:
      Text(Number(opcode == kBytes1 ? 1 : opcode == kBytes4 ? 4 : 8));
      PushOther("", "");
      return true;
    default:
      return false;
  }
}

bool PickleMachine::Collection(uint8_t opcode) {
  switch (opcode) {
    case kMark:
      marks_.push_back(stack_.size());
      if (marks_.size() > kMaxValues) Fail("is nested too deeply");
      return true;
    case kEmptyDict:
      Push(PickleKind::kDict);
      return true;
    case kEmptyList:
    case kEmptyTuple:
      Push(PickleKind::kSequence);
      return true;
    case kTuple:
      PushSequence(PopToMark());
      return true;
    case kFrozenSet:
      PopToMark();
      [[fallthrough]];
    case kEmptySet:
      PushOther("", "");
      return true;
    case kTuple1:
    case kTuple2:
    case kTuple3: {
      std::vector<uint32_t> items(opcode - kTuple1 + 1);
      for (size_t i = items.size(); i-- > 0;) items[i] = Pop();
      PushSequence(std::move(items));
      return true;
    }
    case kAppend:
    case kAppends:
    case kAddItems:
    case kSetItem:
    case kSetItems: {
      std::vector<uint32_t> items;
      if (opcode == kAppends || opcode == kAddItems || opcode == kSetItems) {
        items = PopToMark();
      } else {
        items.resize(opcode == kAppend ? 1 : 2);
        for (size_t i = items.size(); i-- > 0;) items[i] = Pop();
      }
      const bool dict = opcode == kSetItem || opcode == kSetItems;
      PickleValue& target = values_[Top()];
      if (target.kind == PickleKind::kOther) return true;
      if (target.kind != (dict ? PickleKind::kDict : PickleKind::kSequence) ||
          (dict && items.size() % 2 != 0)) {
        Fail("puts items into what holds none");
        return true;
      }
      items_ += items.size();
      if (items_ > kMostItems) Fail("has too many values");
      target.items.insert(target.items.end(), items.begin(), items.end());
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::Memo(uint8_t opcode) {
  switch (opcode) {
    case kGet1:
    case kGet4: {
      const uint64_t index = Number(opcode == kGet1 ? 1 : 4);
      if (!status_.ok()) return true;
      if (index >= memo_.size() || memo_[index] == kNothing) {
        Fail("repeats a value that it does not have");
      } else {
        PushId(memo_[index]);
      }
      return true;
    }
    case kPut1:
    case kPut4:
    case kMemoize: {
      const uint64_t index = opcode == kMemoize ? memo_.size() : Number(opcode == kPut1 ? 1 : 4);
      if (!status_.ok()) return true;
      if (index > kMaxValues) {
        Fail("remembers too many values");
        return true;
      }
      if (index >= memo_.size()) memo_.resize(index + 1, kNothing);
      memo_[index] = Top();
      return true;
    }
    default:
      return false;
  }
}

uint64_t PickleMachine::Number(size_t bytes) {
  const std::string_view text = Text(bytes);
  uint64_t value = 0;
  for (size_t i = text.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(text[i]);
  return value;
}

std::string_view PickleMachine::Text(uint64_t bytes) {
  if (bytes > pickle_.size() - at_) {
    Fail("ends too early");
    return {};
  }
  const std::string_view text = pickle_.substr(at_, bytes);
  at_ += bytes;
  return text;
}

std::string_view PickleMachine::Line() {
  const size_t end = pickle_.find('\n', at_);
  if (end == std::string_view::npos) {
    Fail("ends too early");
    return {};
  }
  const std::string_view line = pickle_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

uint32_t PickleMachine::New(PickleKind kind) {
  if (values_.size() >= kMaxValues) {
    Fail("has too many values");
    return kNothing;
  }
  values_.emplace_back().kind = kind;
  return static_cast<uint32_t>(values_.size() - 1);
}

void PickleMachine::Push(PickleKind kind, int64_t number, std::string_view text) {
  if (!status_.ok()) return;
  const uint32_t id = New(kind);
  if (!status_.ok()) return;
  values_[id].number = number;
  values_[id].text = text;
  PushId(id);
}

void PickleMachine::PushId(uint32_t id) {
  if (stack_.size() > kMaxValues) return Fail("has too many values");
  stack_.push_back(id);
}

// What a mark covers is not to be had but with it.
uint32_t PickleMachine::Pop() {
  if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) {
    Fail("takes a value that is not there");
    return kNothing;
  }
  const uint32_t id = stack_.back();
  stack_.pop_back();
  return id;
}

uint32_t PickleMachine::Top() {
  if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) {
    Fail("takes a value that is not there");
    return kNothing;
  }
  return stack_.back();
}

std::vector<uint32_t> PickleMachine::PopToMark() {
  if (marks_.empty()) {
    Fail("has no mark where it needs one");
    return {};
  }
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<uint32_t> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleMachine::PushSequence(std::vector<uint32_t> items) {
  items_ += items.size();
  if (items_ > kMostItems) return Fail("has too many values");
  Push(PickleKind::kSequence);
  if (status_.ok()) values_.back().items = std::move(items);
}

void PickleMachine::Fail(const std::string& what) {
  if (!status_.ok()) return;  // the first reason counts
  status_ = DataLoss(name_ + ": its pickle " + what + ", at byte " + std::to_string(at_) + ".");
}

}  // namespace cliptag
