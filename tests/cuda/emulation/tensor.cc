// mma.sync and ldmatrix at the register layout of the PTX ISA ("Matrix Fragments for mma.m16n8k16",
// "...m16n8k8", "ldmatrix"), and cp.async. Where the PTX ISA leaves mma open, it is done as a
// kernel would like it least: subnormal operands count as zero (device.cuh), and a sum, exact in
// double precision, is cut to f32 and not rounded, which is what the cards do (Fasi, Higham,
// Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021).
#include "tests/cuda/emulation/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace cliptag::emulation {
namespace {

// Element `half` (0 low, 1 high) of a register.
uint16_t Element(uint32_t word, int half) { return static_cast<uint16_t>(word >> (16 * half)); }

struct Place {
  int lane, word, half;
};

// Who holds A (16, k)[row][col]: rows 0-7 and 8-15 and columns 0-7 and 8-15 are four 8 x 8
// quarters, register = row half + 2 x column half; in a quarter, four lanes share a row, two
// columns each.
Place OfA(int row, int col) {
  return {row % 8 * 4 + col % 8 / 2, row / 8 + 2 * (col / 8), col % 2};
}
// Who holds B (k, 8)[row][col]: as the transpose of an A quarter.
Place OfB(int row, int col) { return {col * 4 + row % 8 / 2, row / 8, row % 2}; }

// Towards zero.
float Cut(double x) {
  const auto nearest = static_cast<float>(x);
  return std::abs(double{nearest}) > std::abs(x) ? std::nextafter(nearest, 0.0f) : nearest;
}

}  // namespace

void MultiplyFragments(void* const (&lanes)[kLanes], int depth, float (*to_float)(uint16_t)) {
  const auto fragment = [&](int lane) { return static_cast<MmaFragment*>(lanes[lane]); };
  double a[16][16], b[16][8];
  for (int k = 0; k < depth; ++k) {
    for (int m = 0; m < 16; ++m) {
      const Place p = OfA(m, k);
      a[m][k] = to_float(Element(fragment(p.lane)->a[p.word], p.half));
    }
    for (int n = 0; n < 8; ++n) {
      const Place p = OfB(k, n);
      b[k][n] = to_float(Element(fragment(p.lane)->b[p.word], p.half));
    }
  }
  for (int m = 0; m < 16; ++m) {
    double sum[8];
    for (int n = 0; n < 8; ++n) sum[n] = fragment(m % 8 * 4 + n / 2)->c[m / 8 * 2 + n % 2];
    for (int k = 0; k < depth; ++k) {
      for (int n = 0; n < 8; ++n) sum[n] += a[m][k] * b[k][n];
    }
    for (int n = 0; n < 8; ++n) {
      fragment(m % 8 * 4 + n / 2)->c[m / 8 * 2 + n % 2] = Cut(sum[n]);
    }
  }
}

void LoadMatrices(void* const (&lanes)[kLanes], int count, bool transposed) {
  const auto load = [&](int lane) { return static_cast<MatrixLoad*>(lanes[lane]); };
  for (int i = 0; i < count; ++i) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) {
      std::memcpy(matrix[row], load(8 * i + row)->row, sizeof(matrix[row]));
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane / 4, col = lane % 4 * 2;
      const uint32_t low = transposed ? matrix[col][row] : matrix[row][col];
      const uint32_t high = transposed ? matrix[col + 1][row] : matrix[row][col + 1];
      load(lane)->words[i] = low | high << 16;
    }
  }
}

int CountBankConflicts(void* const (&lanes)[kLanes], int count) {
  // The 32 banks of 4 bytes serve eight rows of 16 bytes at once, if these lie in different
  // eighths.
  int conflicts = 0;
  for (int i = 0; i < count; ++i) {
    std::vector<uintptr_t> eighths[8];
    size_t worst = 1;
    for (int row = 0; row < 8; ++row) {
      const auto unit =
          reinterpret_cast<uintptr_t>(static_cast<MatrixLoad*>(lanes[8 * i + row])->row) / 16;
      std::vector<uintptr_t>& same = eighths[unit % 8];
      if (std::find(same.begin(), same.end(), unit) == same.end()) same.push_back(unit);
      worst = std::max(worst, same.size());
    }
    conflicts += static_cast<int>(worst) - 1;
  }
  return conflicts;
}

void StartAsyncCopy(void* shared, const void* global, int bytes, int valid, const Site& site) {
  ThreadState& self = CurrentThread();
  CheckShared("cp.async", shared, static_cast<size_t>(bytes), site);
  CheckAligned("cp.async", global, static_cast<size_t>(bytes), site);
  if (valid < 0 || valid > bytes) Fail("cp.async (" + ToString(site) + "): copies too many bytes");
  AsyncCopy copy;
  copy.to = static_cast<unsigned char*>(shared);
  copy.bytes = bytes;
  if (valid > 0) std::memcpy(copy.data, global, static_cast<size_t>(valid));
  // What lay there is gone from now on: whoever still reads it is a barrier short.
  std::memset(copy.to, 0xff, static_cast<size_t>(bytes));
  self.open_group.push_back(copy);
  ++self.copies;
}

void CommitAsyncCopies() {
  ThreadState& self = CurrentThread();
  self.committed_groups.push_back(std::move(self.open_group));
  self.open_group.clear();
}

void LandAsyncCopies(size_t pending) {
  std::deque<AsyncGroup>& groups = CurrentThread().committed_groups;
  while (groups.size() > pending) {
    for (const AsyncCopy& copy : groups.front()) {
      std::memcpy(copy.to, copy.data, static_cast<size_t>(copy.bytes));
    }
    groups.pop_front();
  }
}

}  // namespace cliptag::emulation
