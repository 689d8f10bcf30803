"""The mistakes that tests/mutate_kernels.sh makes: in which file, what, the text and what takes its place,
and the test that should notice."""
from collections import namedtuple

Mutant = namedtuple("Mutant", "file what old new test filters")

MUTANTS = []


def add(file, test, filters, *mutants):
    for what, old, new in mutants:
        MUTANTS.append(Mutant(f"kernels/cuda/{file}", what, old, new, test, filters))


add("attention/attention.cuh", "cuda_attention_small_test", "*",
    ("no barrier before K is read",
     "    __syncthreads();   // all parts of it have arrived; all threads have read the other K tile\n", ""),
    ("no barrier before V is read", "    __syncthreads();   // as above\n", ""),
    ("no barrier before the tiles become the outputs' stage",
     "  if constexpr (kAttentionMaxWarps * Warp::kRows > 2 * kKeys) __syncthreads();\n", ""),
    ("K is not waited for", "CpAsyncWait<1>();  // for K of", "CpAsyncWait<2>();  // for K of"),
    ("V is not waited for", "CpAsyncWait<1>();  // for V of", "CpAsyncWait<2>();  // for V of"),
    ("the next K goes into the group of V",
     "k, p.k_stride, next, visible);\n    CpAsyncCommit();", "k, p.k_stride, next, visible);"),
    ("both buffers are one", "there = Warp::kTileElements - here", "there = here"),
    ("a block stops a key early", "visible = block_row + block_rows;", "visible = block_row + block_rows - 1;"),
    ("a warp stops its rows early", "limit = w.first_row + Warp::kRows - first;", "limit = w.first_row - first;"))

add("attention/warp.cuh", "cuda_attention_small_test", "*",
    ("fragments of K swapped", "Mma16816<T>(score[r][2 * n], q[r][s], k[0], k[1]);",
     "Mma16816<T>(score[r][2 * n], q[r][s], k[1], k[0]);"),
    ("key halves of K swapped", "lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8",
     "lane / 8 % 2 * 8 + lane % 8) * kStride + lane / 16 * 8"),
    ("V is not transposed", "LdMatrixX4Trans(v, row", "LdMatrixX4(v, row"),
    ("the tail of V is not transposed", "LdMatrixX2Trans(v, tile", "LdMatrixX2(v, tile"),
    ("registers of P swapped", "weight[r][n / 2][h + 2 * (n % 2)]", "weight[r][n / 2][2 * h + n % 2]"),
    ("registers of Q swapped", "const int row = first_row + 16 * r + g + 8 * (i % 2);",
     "const int row = first_row + 16 * r + g + 8 * (i / 2);"),
    ("no tail of the scores", "if constexpr (kTail) ScoresTail<kCount>(tile);", ""),
    ("one key too many", "i % 2 >= bound", "i % 2 > bound"),
    ("a query sees the key after it", "row + 1 < visible ? row + 1 : visible",
     "row + 2 < visible ? row + 2 : visible"),
    ("no mask on the diagonal", "end > visible || (kCausal && end > first_row + 1)", "end > visible"),
    ("the tail's tile is not loaded to the step's end", "first, 16 * StepsFor(visible - first), visible",
     "first, visible - first, visible"),
    ("a step too few", "(keys + 15) / 16;", "keys / 16;"),
    ("48 keys are worked on as 32", "keys > 32 ? kKeySteps", "keys > 48 ? kKeySteps"),
    ("a thread's next row is its next but one", "row += turn, to += turn", "row += 2 * turn, to += turn"),
    ("keys that are not seen are read", "const bool seen = first + row < visible;",
     "const bool seen = true;"),
    ("sums are not scaled to the new maximum", "        sum[r][h] *= shrink;\n", ""),
    ("outputs are not scaled to the new maximum", "          out[r][c][2 * h] *= shrink;\n", ""),
    ("nothing is scaled after the first tile", "constexpr float kLazy = 8;", "constexpr float kLazy = 1e9f;"),
    ("the maximum is that of two lanes", "lanes <= 2; lanes *= 2", "lanes <= 1; lanes *= 2"),
    ("the sum is that of two lanes", "        total += __shfl_xor_sync(kAllLanes, total, 2);\n", ""),
    ("no key is divided by zero", "total > 0 ? Divide(1.0f, total) : 0.0f", "Divide(1.0f, total)"),
    ("outputs leave before they are staged", "    __syncwarp();\n", ""),
    ("one row too many is written", "if (first_row + row < tokens) {", "if (first_row + row <= tokens) {"))

add("attention/params.cuh", "cuda_attention_small_test", "*",
    ("lengths beyond the keys", "return length < p.kv_tokens ? length : p.kv_tokens;", "return length;"))

add("attention/tile.h", "cuda_attention_small_test", "*",
    ("rows without padding: bank conflicts", "(head_dim / 8 | 1) * 8", "head_dim"),
    ("a warp too few", "(warps + blocks - 1) / blocks", "warps / blocks"))

add("attention/single.cuh", "cuda_attention_small_test", "*OneQuery*:*Lengths*",
    ("one key too many", "if (first + u * State::kGroups + group >= visible)",
     "if (first + u * State::kGroups + group > visible)"),
    ("no barrier before the warps are merged", "    __syncthreads();\n", ""),
    ("half of the lanes are summed", "lanes = State::kLanes / 2;", "lanes = State::kLanes / 4;"),
    ("scores are not scaled", "    q[i] *= p.scale_log2;\n", ""),
    ("groups are merged without scaling",
     "      Rescale(fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, lanes)));\n", ""),
    ("groups that saw nothing", "const float shrink = Exp2(largest - (m == NegativeInfinity() ? 0.0f : m));",
     "const float shrink = Exp2(largest - m);"))

add("attention/general.cuh", "cuda_attention_small_test", "*General*",
    ("one key too many", "if (key < visible) {", "if (key <= visible) {"),
    ("a query sees the key after it", "visible > query + 1) visible = query + 1;",
     "visible > query + 2) visible = query + 2;"),
    ("outputs are not rescaled", "for (int c = 0; c < kColumns; ++c) out[c] *= shrink;",
     "for (int c = 0; c < kColumns; ++c) out[c] *= 1.0f;"),
    ("the last rows of V are left out", "int j = 0; j < count; ++j", "int j = 0; j + 1 < count; ++j"),
    ("one query too many", "if (query >= p.q_tokens) return;", "if (query > p.q_tokens) return;"))

add("device/columns.cuh", "cuda_rows_test", "LayerNorm*",
    ("no barrier before the block's sums are read", "  __syncthreads();\n", ""),
    ("odd strides pass for wide", "stride * static_cast<int64_t>(sizeof(T)) % 16 == 0 && ", ""))

add("rows/layer_norm.cuh", "cuda_rows_test", "LayerNorm*",
    ("lanes beyond the width count for the variance",
     "    if ((c * kWarpSize + lane) * 8 < p.cols) {\n", "    {\n"),
    ("one row too many", "if (row >= p.rows) return;", "if (row > p.rows) return;"),
    ("registers for fewer columns than there are", "p.cols <= 768", "p.cols <= 776"),
    ("the norm is not added", "      for (int i = 0; i < kColumns; ++i) y[i] += before[i];\n", ""),
    ("the stream is not written back", "      StoreColumns(residual, y);\n", ""),
    ("odd streams pass for wide", " &&\n                    IsWide(p.residual, p.residual_stride, p.cols)", ""))

add("rows/activation.cuh", "cuda_rows_test", "Activations*",
    ("no bias", "Activate<kActivation>(x[i] + bias[i])", "Activate<kActivation>(x[i])"),
    ("a wrong slope", "1.702f *", "1.7f *"),
    ("half a row", "col += kActivationThreads * kColumns", "col += 2 * kActivationThreads * kColumns"))

add("rows/gated_silu.cuh", "cuda_rows_test", "GatedSilu*",
    ("gates and values swapped", "LoadColumns(x + p.cols + col, value)", "LoadColumns(x + col, value)"),
    ("a wrong slope", "kLog2e = 1.4426950408889634f", "kLog2e = 1.5f"),
    ("half a row", "col += kGatedSiluThreads * kColumns", "col += 2 * kGatedSiluThreads * kColumns"))

add("rows/rope.cuh", "cuda_rows_test", "Rope*",
    ("rotated the other way", "v[i] = a * t[i] - b * t[i + 1];", "v[i] = a * t[i] + b * t[i + 1];"),
    ("every token by the first one's angles", "row % p.tokens * p.angles_stride", "0 * p.angles_stride"),
    ("every head by the first one's columns", "angles + col % p.head_dim, t", "angles + col % 8, t"),
    ("odd heads pass for wide", " && IsWide(p.angles, p.angles_stride, p.head_dim)", ""))

add("rows/gather.cuh", "cuda_rows_test", "*Tokens*:GatherRows*",
    ("patches off by the class token", "+ token - extra) * p.patches_stride", "+ token) * p.patches_stride"),
    ("positions do not start again", "row % p.tokens * p.position_stride", "row * p.position_stride"),
    ("the end of a row is left out", "i < p.row_bytes", "i < p.row_bytes - kBytes"))

add("rows/average.cuh", "cuda_rows_test", "AverageTokens*",
    ("no barrier before the groups meet", "  __syncthreads();\n", ""),
    ("the first tokens count", "int t = p.skip + group", "int t = group"),
    ("columns beyond the last", "if (group != 0 || col >= p.cols) return;", "if (group != 0) return;"))

add("rows/normalize.cuh", "cuda_rows_test", "NormalizeRows*",
    ("zero rows are divided by zero", "  if (largest == 0) return;\n", ""),
    ("squares overflow", "v[i] / largest * (v[i] / largest)", "v[i] * v[i] / largest / largest"))

add("rows/similarity.cuh", "cuda_rows_test", "Similarity*",
    ("no barrier after a slab has come",
     "    __syncthreads();  // all parts of it have arrived; all threads have read slab i - 1\n", ""),
    ("a slab is not waited for", "CpAsyncWait<kSimilarityStages - 2>", "CpAsyncWait<kSimilarityStages - 1>"),
    ("a wrong stage", "slabs + i % kSimilarityStages", "slabs + i % (kSimilarityStages - 1)"),
    ("dimensions beyond the last", "&& dim + col < p.dim", ""),
    ("prompts beyond the last", "row < p.n && prompt < p.m", "row < p.n"))

add("preprocess/tensor.cuh", "cuda_preprocess_test", "Preprocess*",
    ("a stage is not waited for", "CpAsyncWait<kRingStages - 2>", "CpAsyncWait<kRingStages - 1>"),
    ("values leave before they are there", "      __syncwarp();  // the values are written\n", ""),
    ("values are overwritten", "      __syncwarp();  // the values have been read\n", ""),
    ("no barrier before the fragments are read", "  __syncthreads();  // all fragments are written\n", ""),
    ("a stage's last rows are left out", "rows >= kRows && at + kBytes", "rows > 8 && at + kBytes"),
    ("a row of the tile is not read", "row + r < rows; r += kTurn", "row + r + 1 < rows; r += kTurn"),
    ("a row of the tile is not read, unaligned", "if (row >= rows || at", "if (row + 1 >= rows || at"),
    ("columns beyond the row are read",
     "        end_group * kGroupBytes < rows.row_bytes ? end_group * kGroupBytes : rows.row_bytes;",
     "        end_group * kGroupBytes;"),
    ("the last group of columns is left out", "group < static_cast<int>(tile[n].y);",
     "group < static_cast<int>(tile[n].y) - 1;"),
    ("a group before the tile's first", "group >= 0 && group", "group >= -1 && group"),
    ("tiles that are not there", "tile_across + n < tiles_across;", "true;"),
    ("a ring that is a stage too long", "stage == (kStages - 1) * kBytes", "stage == kStages * kBytes"),
    ("odd columns before even ones", "Mma16816<Half>(sum[2 * half + i][1]", "Mma16816<Half>(sum[2 * half + i][0]"),
    ("the sums of the other rows", "zero[r % 4 / 2]", "zero[r % 4 % 2]"),
    ("a strip too few", "(end_group - first_group + kGroups - 1) / kGroups", "(end_group - first_group) / kGroups"),
    ("the first filter for all rows", "    fragments += (down_rows + kRowStep - 1) / kRowStep * kWarpSize;\n", ""),
    ("lying pictures written upright", "own.swap == 0 && writer.p.pairs != 0", "writer.p.pairs != 0"),
    ("words are not shifted", "words >> frame.shift & frame.word_mask", "words & frame.word_mask"))

add("preprocess/exact.cuh", "cuda_preprocess_test", "Preprocess*",
    ("a stage is not waited for", "CpAsyncWait<kExactRingStages - 2>", "CpAsyncWait<kExactRingStages - 1>"),
    ("sums are cut, not rounded", "+ (1 << (kFixedBits - 1))", "+ 0"),
    ("the lower digits are left out", "Mma16816<Half>(sum[c][i][1], l, b0, b1);", ""),
    ("no clamp between the passes", "byte < 0 ? 0 : byte > 255 ? 255 : byte", "byte & 255"),
    ("bytes as subnormals, which mma may take for zero",
     "SubtractHalves(BytePermute(bytes, fill, selector), kThousands)",
     "BytePermute(bytes, 0, selector)"),
    ("bytes with their 1024", "SubtractHalves(left | right << 16 | kThousands, kThousands)",
     "(left | right << 16 | kThousands)"),
    ("a wrong byte of the third word", "offset == 0 ? 0x5210u", "offset == 0 ? 0x6210u"),
    ("pixels of four bytes swapped", "words[3], selector), 0x5410)", "words[3], selector), 0x1054)"),
    ("sums of the rows before stay", "[r % 4] = 0;", "[r % 4] *= 1;"),
    ("values leave before they are there", "    __syncwarp();  // the values are written\n", ""),
    ("components by their number, not their place", "frame.rows[0].offset[c];", "c;"))

add("preprocess/taps.cuh", "cuda_preprocess_test", "Preprocess*",
    ("no barrier before a slab is read", "      __syncthreads();  // the slab's sums are written\n", ""),
    ("no barrier before the next slab", "      __syncthreads();  // the slab has been read\n", ""),
    ("a sample too few", "i < taps.count; ++i", "i < taps.count - 1; ++i"),
    ("sums are cut, not rounded", "return 1 << (kFixedBits - 1);", "return 0;"),
    ("no clamp between the passes", "return sum < 0 ? 0 : sum > 255 ? 255 : sum;", "return sum;"),
    ("windows that run backwards", "first_sample = one.first < other.first ? one.first : other.first;",
     "first_sample = one.first;"),
    ("the upper byte is lost", "word |= from[1] << 8;", "word |= from[1];"))

add("preprocess/pixels.cuh", "cuda_preprocess_test", "Preprocess*",
    ("U and V swapped", "(frame.bu * value[1] + frame.zero[2])", "(frame.bu * value[2] + frame.zero[2])"),
    ("bars show the picture's edge", "x < frame.end_x", "x <= frame.end_x"),
    ("no clamp", "fminf(fmaxf(rgb[c], 0.0f), 1.0f)", "rgb[c]"),
    ("a frame's patches follow those of half a frame", "index) * p.grid * p.grid", "index) * p.grid * (p.grid / 2)"))

add("preprocess/preprocess.cuh", "cuda_preprocess_test", "Preprocess*",
    ("the first block of a frame goes to the one before", "first_block <= block", "first_block < block"))

add("preprocess/plan.cc", "cuda_preprocess_test", "Preprocess*",
    ("crops begin at the frame's corner", "key.start = along ? geometry.crop.x", "key.start = along ? 0"),
    ("chroma sited as luma", "key.cosited = key.shift > 0 && ", "key.cosited = false && "),
    ("odd strides pass for wide", "&& rows.row_stride % bytes == 0", ""),
    ("12 bits pass for 10", "if (bits <= 10) {", "if (bits <= 12) {"))

add("preprocess/filter.cc", "cuda_preprocess_test", "Preprocess*",
    ("windows are not turned round", "    if (axis.flip) std::reverse(begin, windows.weights.end());\n", ""),
    ("a window's last sample is left out of its tile", "range.end = std::max(range.end, window.end());",
     "range.end = std::max(range.end, window.end() - 1);"),
    ("digits that f16 or f32 would round", "filter->exact = DigitsAreExact(windows);", "filter->exact = true;"),
    ("columns of bytes in their order", "row % 2 * 2 + row % 4 / 2", "row % 4"))
