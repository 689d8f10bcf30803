#include "tests/models/torch_archive.h"

#include <cstring>

namespace cliptag {

std::string LittleEndian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i & 0xff);
  return out;
}

std::string ZipFile(const ZipEntries& entries, bool zip64) {
  std::string out, central;
  for (const auto& [name, content] : entries) {
    const uint64_t offset = out.size();
    const std::string lengths =
        zip64 ? std::string(8, '\xff')
              : LittleEndian(content.size(), 4) + LittleEndian(content.size(), 4);
    const std::string extra = zip64 ? LittleEndian(1, 2) + LittleEndian(24, 2) +
                                          LittleEndian(content.size(), 8) +
                                          LittleEndian(content.size(), 8) + LittleEndian(offset, 8)
                                    : "";
    // PyTorch pads the local record so that the content begins at a multiple of 64.
    std::string padding(64 - (out.size() + 30 + name.size() + 4) % 64, 'Z');
    padding = "FB" + LittleEndian(padding.size(), 2) + padding;
    const std::string about = std::string(2, '\0') + std::string(2, '\0') + std::string(8, '\0') +
                              lengths + LittleEndian(name.size(), 2);
    out += "PK\x03\x04" + std::string(2, '\0') + about + LittleEndian(padding.size(), 2) + name +
           padding + content;
    central += "PK\x01\x02" + std::string(4, '\0') + about + LittleEndian(extra.size(), 2) +
               std::string(10, '\0') + (zip64 ? std::string(4, '\xff') : LittleEndian(offset, 4)) +
               name + extra;
  }
  const uint64_t at = out.size();
  out += central;
  if (zip64) {
    const uint64_t record = out.size();
    out += "PK\x06\x06" + LittleEndian(44, 8) + std::string(12, '\0') +
           LittleEndian(entries.size(), 8) + LittleEndian(entries.size(), 8) +
           LittleEndian(central.size(), 8) + LittleEndian(at, 8);
    out += "PK\x06\x07" + LittleEndian(0, 4) + LittleEndian(record, 8) + LittleEndian(1, 4);
    return out + "PK\x05\x06" + std::string(4, '\0') + std::string(12, '\xff') +
           std::string(2, '\0');
  }
  return out + "PK\x05\x06" + std::string(4, '\0') + LittleEndian(entries.size(), 2) +
         LittleEndian(entries.size(), 2) + LittleEndian(central.size(), 4) + LittleEndian(at, 4) +
         std::string(2, '\0');
}

std::string PickledText(const std::string& text) {
  std::string out(1, 'X');
  return out.append(LittleEndian(text.size(), 4)).append(text);
}

std::string PickledNumber(int64_t number) {
  return "\x8a\x08" + LittleEndian(static_cast<uint64_t>(number), 8);
}

std::string PickledTuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}

std::string PickledNumbers(const std::vector<int64_t>& numbers) {
  std::vector<std::string> items;
  for (const int64_t number : numbers) items.push_back(PickledNumber(number));
  return PickledTuple(items);
}

std::string PickledTensorArguments(const HandmadeTensor& tensor) {
  const std::string storage =
      PickledTuple({PickledText("storage"), "ctorch\n" + tensor.storage + "\n",
                    PickledText(tensor.key), PickledText("cpu"), PickledNumber(tensor.elements)}) +
      "Q";
  return PickledTuple({storage, PickledNumber(tensor.offset), PickledNumbers(tensor.shape),
                       PickledNumbers(tensor.strides), "\x89", "ccollections\nOrderedDict\n)R"});
}

std::string PickledTensorValue(const HandmadeTensor& tensor) {
  return "ctorch._utils\n_rebuild_tensor_v2\n" + PickledTensorArguments(tensor) + "R";
}

std::string StateDict(const std::string& value) {
  return "\x80\x02}" + PickledText("x") + value + "s.";
}

std::string Archive(const std::string& pickle, bool zip64) {
  std::string floats(24, '\0');
  for (int i = 0; i < 6; ++i) {
    const float value = static_cast<float>(i - 3);
    std::memcpy(floats.data() + 4 * i, &value, 4);
  }
  return ZipFile({{"a/data.pkl", pickle}, {"a/byteorder", "little"}, {"a/data/0", floats}}, zip64);
}

}  // namespace cliptag
