// sentencepiece's own files, whose maps of characters and pieces the library believes.
#include "models/text/piece_model.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/small_charsmap.h"
#include "tests/fuzz/targets.h"

namespace cliptag {
namespace {

// A field with bytes of a protocol buffer's message.
std::string Field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
  return out + static_cast<char>(size) + bytes;
}

std::string Piece(const std::string& text, char type) {
  const std::string score("\x15\x00\x00\x80\xbf", 5);  // -1
  return Field(1, Field(1, text) + score + std::string{0x18, type});
}

std::string Model(const std::string& map, char model_type) {
  std::string out = Piece("<unk>", 2) + Piece("</s>", 3);
  for (const char* text : {"▁", "a", "b", "ab", "▁a", "c", "cat"}) {
    out += Piece(text, 1);
  }
  out += Field(2, std::string{0x18, model_type});
  return out + Field(3, map.empty() ? "" : Field(2, map));
}

}  // namespace

Status ReadFuzzedPieces(std::string_view bytes) {
  const auto model = OpenSentencePiece(std::string(bytes), "file");
  if (!model.ok()) return Refused(model.status());
  for (const std::string& text :
       {std::string(), std::string("a cat ab"), std::string("A\xc3\xa9\xef\xbc\xa1\xff x"),
        std::string(300, 'a'), std::string("a\0b", 3)}) {
    const auto ids = (*model)->Encode(text);
    if (!ids.ok()) RequireReason(ids.status());
  }
  (void)(*model)->Find("cat");
  return {};
}

std::vector<std::string> PiecesSeeds() {
  const std::string map =
      SmallCharsmap({{"A", "a"}, {"\xc3\xa9", "e"}, {"\xef\xbc\xa1", "a"}, {"aa", "b"}, {"x", ""}});
  return {Model("", 1), Model(map, 1), Model(map, 2), Model(map, 4)};
}

}  // namespace cliptag
