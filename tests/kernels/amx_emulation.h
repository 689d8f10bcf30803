// The tiles of AMX in plain C++, at the layout that Intel's manual gives (Software Developer's
// Manual, volume 1, chapter 18): eight tiles of up to 16 rows of 64 bytes, shaped by a
// configuration, and the two products that the panels use. The kernel of
// kernels/cpu/products/panel/amx.inc is compiled over it, so that machines without AMX test it.
// A fault of the hardware fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "kernels/base/half.h"

namespace cliptag::amx {

struct Tile {
  int rows = 0, row_bytes = 0;
  uint8_t bytes[16][64] = {};
};
inline Tile tiles[8];
inline bool configured = false;

inline void Configure(const void* shape) {
  const auto* bytes = static_cast<const uint8_t*>(shape);
  ASSERT_EQ(bytes[0], 1) << "palette";
  for (int i = 1; i < 16; ++i) ASSERT_EQ(bytes[i], 0) << "start row and reserved bytes";
  for (int t = 0; t < 8; ++t) {
    uint16_t row_bytes;
    std::memcpy(&row_bytes, bytes + 16 + 2 * t, 2);
    tiles[t] = Tile{bytes[48 + t], row_bytes};
    ASSERT_LE(tiles[t].rows, 16);
    ASSERT_LE(tiles[t].row_bytes, 64);
  }
  configured = true;
}
inline void Release() { configured = false; }

inline void Zero(int t) {
  ASSERT_TRUE(configured);
  std::memset(tiles[t].bytes, 0, sizeof(tiles[t].bytes));
}
inline void Load(int t, const void* p, int64_t stride) {
  ASSERT_TRUE(configured);
  std::memset(tiles[t].bytes, 0, sizeof(tiles[t].bytes));
  for (int r = 0; r < tiles[t].rows; ++r) {
    std::memcpy(tiles[t].bytes[r], static_cast<const char*>(p) + r * stride, tiles[t].row_bytes);
  }
}
inline void Store(int t, void* p, int64_t stride) {
  ASSERT_TRUE(configured);
  for (int r = 0; r < tiles[t].rows; ++r) {
    std::memcpy(static_cast<char*>(p) + r * stride, tiles[t].bytes[r], tiles[t].row_bytes);
  }
}

// sums[m][n] += dot(x[m][k], panel[k][n]) over groups of four bytes.
template <typename Sum, typename Dot>
void Product(int sum, int x, int panel, Dot dot) {
  ASSERT_TRUE(configured);
  Tile& c = tiles[sum];
  const Tile &a = tiles[x], &b = tiles[panel];
  ASSERT_EQ(c.rows, a.rows);
  ASSERT_EQ(c.row_bytes, b.row_bytes);
  ASSERT_EQ(a.row_bytes / 4, b.rows);
  for (int m = 0; m < c.rows; ++m) {
    for (int n = 0; n < c.row_bytes / 4; ++n) {
      Sum value;
      std::memcpy(&value, c.bytes[m] + 4 * n, 4);
      for (int k = 0; k < b.rows; ++k) value = dot(value, a.bytes[m] + 4 * k, b.bytes[k] + 4 * n);
      std::memcpy(c.bytes[m] + 4 * n, &value, 4);
    }
  }
}

// TDPBF16PS: pairs of bf16, summed in f32.
inline void ProductBf16(int sum, int x, int panel) {
  Product<float>(sum, x, panel, [](float value, const uint8_t* a, const uint8_t* b) {
    uint16_t p[2], q[2];
    std::memcpy(p, a, 4);
    std::memcpy(q, b, 4);
    for (int i = 0; i < 2; ++i) value += Bf16ToFloat(p[i]) * Bf16ToFloat(q[i]);
    return value;
  });
}
// TDPBUSD: four unsigned bytes times four signed ones, summed in 32 bits.
inline void ProductBytes(int sum, int x, int panel) {
  Product<int32_t>(sum, x, panel, [](int32_t value, const uint8_t* a, const uint8_t* b) {
    for (int i = 0; i < 4; ++i) value += int32_t{a[i]} * static_cast<int8_t>(b[i]);
    return value;
  });
}

}  // namespace cliptag::amx
