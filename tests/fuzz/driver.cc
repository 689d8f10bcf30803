// The fuzz targets without a fuzzer: their seeds and the same few changes to them every time, so
// that they are kept working where there is no libFuzzer.
//
//   fuzz_driver TARGET [ROUNDS]             the seeds, then that many changed ones
//   fuzz_driver TARGET --seeds FOLDER       writes the seeds into files, for libFuzzer
//   fuzz_driver TARGET --files FILE...      what a fuzzer has kept
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz_target.h"

namespace cliptag {
namespace {

// What bytes and words files are broken with.
const std::string kWords[] = {std::string(1, '\0'),
                              "\x7f",
                              "\xff",
                              std::string(2, '\xff'),
                              "\xff\xff\xff\x7f",
                              std::string(4, '\xff'),
                              "\xff\xff\xff\xff\xff\xff\xff\x7f",
                              std::string(8, '\xff'),
                              std::string(8, '\0'),
                              "0",
                              "-1",
                              "1e999",
                              "0.5",
                              "16777216",
                              "4294967296",
                              "18446744073709551615",
                              "\"\"",
                              "null",
                              "true",
                              "[]",
                              "{}",
                              "[[[[",
                              "\n",
                              "\xc3"};

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string Next() {
    std::string file = seeds_[round_++ % seeds_.size()];
    for (size_t change = 1 + Below(2); change > 0; --change) Change(&file);
    return file;
  }

 private:
  size_t Below(size_t n) { return n == 0 ? 0 : random_() % n; }

  // Where a number or a word begins, looked for from anywhere; anywhere where there is none.
  size_t Value(const std::string& file) {
    const size_t from = Below(file.size());
    const size_t at = file.find_first_of("0123456789\"[{tfn", from);
    return at == std::string::npos ? from : at;
  }

  void Change(std::string* file) {
    const size_t at = Below(file->size());
    const std::string& word = kWords[Below(std::size(kWords))];
    switch (Below(8)) {
      case 0:
        file->resize(at);
        break;
      case 1:
        file->erase(at, 1 + Below(40));
        break;
      case 2: {
        const std::string& other = seeds_[Below(seeds_.size())];
        file->insert(at, other.substr(Below(other.size()), 1 + Below(60)));
        break;
      }
      case 3:
        file->replace(at, std::min(word.size(), file->size() - at), word);
        break;
      case 4:
      case 5: {  // one value for another
        const size_t begin = Value(*file);
        const size_t end = file->find_first_of(",]}\n", begin);
        file->replace(begin, std::min(end, file->size()) - begin, word);
        break;
      }
      default:
        if (!file->empty()) (*file)[at] = static_cast<char>(random_());
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937 random_{7};
  size_t round_ = 0;
};

// Both must happen often, or nothing is tried.
int Check(const FuzzTarget& target, int rounds) {
  const std::vector<std::string> seeds = target.seeds();
  for (size_t i = 0; i < seeds.size(); ++i) {
    const Status status = target.read(seeds[i]);
    if (status.ok()) continue;
    std::fprintf(stderr, "Seed %zu of %zu is refused: %s\n", i, seeds.size(),
                 status.message().c_str());
    return 1;
  }
  Mutator mutator(seeds);
  int taken = 0;
  for (int i = 0; i < rounds; ++i) taken += target.read(mutator.Next()).ok() ? 1 : 0;
  std::printf("%zu seeds; of %d changed ones %d were taken, %d refused\n", seeds.size(), rounds,
              taken, rounds - taken);
  return taken > rounds / 50 && taken < rounds - rounds / 10 ? 0 : 1;
}

int WriteSeeds(const FuzzTarget& target, const std::string& folder) {
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const std::string& seed : target.seeds()) {
    std::ofstream(folder + "/seed-" + std::to_string(number++), std::ios::binary) << seed;
  }
  std::printf("%d seeds\n", number);
  return 0;
}

int Main(int argc, char** argv) {
  const FuzzTarget* target = argc > 1 ? FindFuzzTarget(argv[1]) : nullptr;
  const std::string option = argc > 2 ? argv[2] : "500";
  if (target == nullptr || (option == "--seeds" && argc != 4)) {
    std::fprintf(stderr, "Usage: fuzz_driver TARGET [ROUNDS | --seeds FOLDER | --files FILE...]\n");
    for (const FuzzTarget& one : FuzzTargets()) std::fprintf(stderr, "  %s\n", one.name.data());
    return 2;
  }
  if (option == "--seeds") return WriteSeeds(*target, argv[3]);
  if (option != "--files") return Check(*target, std::atoi(option.c_str()));
  for (int i = 3; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    const Status status = target->read(bytes);
    std::printf("%s: %s\n", argv[i], status.ok() ? "taken" : status.message().c_str());
  }
  return 0;
}

}  // namespace
}  // namespace cliptag

int main(int argc, char** argv) { return cliptag::Main(argc, argv); }
