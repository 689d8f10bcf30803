"""The mistakes that tests/mutate_kernels.sh makes: in which file, what, the text and what takes its place,
and the test that should notice."""
from collections import namedtuple

Mutant = namedtuple("Mutant", "file what old new test filters")

MUTANTS = []


def add(file, test, filters, *mutants):
    for what, old, new in mutants:
        MUTANTS.append(Mutant(f"kernels/cuda/{file}", what, old, new, test, filters))


add("attention.cuh", "cuda_attention_small_test", "*",
    ("no barrier before K is read",
     "    __syncthreads();   // everyone's part of it; and nobody reads the other K tile any more\n", ""),
    ("no barrier before V is read", "    __syncthreads();   // as above\n", ""),
    ("no barrier before the tiles become the outputs' stage",
     "  if constexpr (kAttentionMaxWarps * Warp::kRows > 2 * kKeys) __syncthreads();\n", ""),
    ("K is not waited for", "CpAsyncWait<1>();  // K of", "CpAsyncWait<2>();  // K of"),
    ("V is not waited for", "CpAsyncWait<1>();  // V of", "CpAsyncWait<2>();  // V of"),
    ("the next K goes into the group of V",
     "k, p.k_stride, next, visible);\n    CpAsyncCommit();", "k, p.k_stride, next, visible);"),
    ("both buffers are one", "there = Warp::kTileElements - here", "there = here"),
    ("fragments of K swapped", "Mma16816<T>(score[r][2 * n], q[r][s], k[0], k[1]);",
     "Mma16816<T>(score[r][2 * n], q[r][s], k[1], k[0]);"),
    ("key halves of K swapped", "lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8",
     "lane / 8 % 2 * 8 + lane % 8) * kStride + lane / 16 * 8"),
    ("V is not transposed", "LdMatrixX4Trans(v, row", "LdMatrixX4(v, row"),
    ("the tail of V is not transposed", "LdMatrixX2Trans(v, tile", "LdMatrixX2(v, tile"),
    ("registers of P swapped", "weight[r][n / 2][h + 2 * (n % 2)]", "weight[r][n / 2][2 * h + n % 2]"),
    ("registers of Q swapped", "const int row = first_row + 16 * r + g + 8 * (i % 2);",
     "const int row = first_row + 16 * r + g + 8 * (i / 2);"),
    ("no tail of the scores", "if constexpr (kTail) ScoresTail(tile, limit);", ""),
    ("one key too many", "i % 2 >= bound", "i % 2 > bound"),
    ("a query sees the key after it", "row + 1 < visible ? row + 1 : visible",
     "row + 2 < visible ? row + 2 : visible"),
    ("no mask on the diagonal", "next > visible || (kCausal && next > w.first_row + 1)", "next > visible"),
    ("a block stops a key early", "visible = block_row + block_rows;", "visible = block_row + block_rows - 1;"),
    ("a warp stops half its rows early", "limit = w.first_row + Warp::kRows - first;",
     "limit = w.first_row + Warp::kRows / 2 - first;"),
    ("the tail's tile is not loaded to 16 keys", "(visible - first + 15) / 16 * 16", "visible - first"),
    ("keys that are not seen are read", "const bool seen = first + row < visible;",
     "const bool seen = true;"),
    ("sums are not scaled to the new maximum", "sum[r][h] * shrink + added", "sum[r][h] + added"),
    ("outputs are not scaled to the new maximum", "          out[r][c][2 * h] *= shrink;\n", ""),
    ("the maximum is that of two lanes", "        m = fmaxf(m, __shfl_xor_sync(kAllLanes, m, 2));\n", ""),
    ("the sum is that of two lanes", "        total += __shfl_xor_sync(kAllLanes, total, 2);\n", ""),
    ("no key is divided by zero", "total > 0 ? 1.0f / total : 0.0f", "1.0f / total"),
    ("outputs leave before they are staged", "    __syncwarp();\n", ""),
    ("one row too many is written", "if (first_row + row < tokens) {", "if (first_row + row <= tokens) {"),
    ("lengths beyond the keys", "return length < p.kv_tokens ? length : p.kv_tokens;", "return length;"))

add("attention_tile.h", "cuda_attention_small_test", "*",
    ("rows without padding: bank conflicts", "(head_dim / 8 | 1) * 8", "head_dim"),
    ("a warp too few", "(warps + blocks - 1) / blocks", "warps / blocks"))

add("attention_single.cuh", "cuda_attention_small_test", "*OneQuery*:*Lengths*",
    ("one key too many", "if (first + u * State::kGroups + group >= visible)",
     "if (first + u * State::kGroups + group > visible)"),
    ("no barrier before the warps are merged", "    __syncthreads();\n", ""),
    ("half of the lanes are summed", "lanes = State::kLanes / 2;", "lanes = State::kLanes / 4;"),
    ("scores are not scaled", "    q[i] *= p.scale_log2;\n", ""),
    ("groups are merged without scaling",
     "      Rescale(fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, lanes)));\n", ""),
    ("groups that saw nothing", "const float shrink = Exp2(largest - (m == NegativeInfinity() ? 0.0f : m));",
     "const float shrink = Exp2(largest - m);"))

add("columns.cuh", "cuda_rows_test", "LayerNorm*",
    ("no barrier before the block's sums are read", "  __syncthreads();\n", ""),
    ("odd strides pass for wide", "stride * static_cast<int64_t>(sizeof(T)) % 16 == 0 && ", ""))

add("layer_norm.cuh", "cuda_rows_test", "LayerNorm*",
    ("lanes beyond the width count for the variance",
     "    if ((c * kWarpSize + lane) * 8 < p.cols) {\n", "    {\n"),
    ("one row too many", "if (row >= p.rows) return;", "if (row > p.rows) return;"),
    ("the sum is not written back", "  StoreColumns(from, x);\n", ""),
    ("registers for fewer columns than there are", "p.cols <= 768", "p.cols <= 776"),
    ("gathering ignored", "? row : p.indices[row];\n  float x[kChunks][8];", "? row : row;\n  float x[kChunks][8];"))

add("activation.cuh", "cuda_rows_test", "Activations*",
    ("no bias", "Activate<kActivation>(x[i] + bias[i])", "Activate<kActivation>(x[i])"),
    ("a wrong slope", "1.702f *", "1.7f *"),
    ("half a row", "col += kActivationThreads * kColumns", "col += 2 * kActivationThreads * kColumns"))

add("gather.cuh", "cuda_rows_test", "*Tokens*:GatherRows*",
    ("patches off by the class token", "+ token - extra) * p.patches_stride", "+ token) * p.patches_stride"),
    ("positions do not start again", "row % p.tokens * p.position_stride", "row * p.position_stride"),
    ("the end of a row is left out", "i < p.row_bytes", "i < p.row_bytes - kBytes"))

add("normalize.cuh", "cuda_rows_test", "NormalizeRows*",
    ("zero rows are divided by zero", "  if (largest == 0) return;\n", ""),
    ("squares overflow", "v[i] / largest * (v[i] / largest)", "v[i] * v[i] / largest / largest"))

add("similarity.cuh", "cuda_rows_test", "Similarity*",
    ("no barrier after a slab has come",
     "    __syncthreads();  // everyone's part of it; and nobody reads slab i - 1 any more\n", ""),
    ("a slab is not waited for", "CpAsyncWait<kSimilarityStages - 2>", "CpAsyncWait<kSimilarityStages - 1>"),
    ("a wrong stage", "slabs + i % kSimilarityStages", "slabs + i % (kSimilarityStages - 1)"),
    ("dimensions beyond the last", "&& dim + col < p.dim", ""),
    ("ties go to the higher index", "(0xffffffffu - static_cast<uint32_t>(index))", "static_cast<uint32_t>(index)"),
    ("NaN comes first", "  if (!(value == value)) bits = 0;\n", ""),
    ("the ticket is not given back", "    if (*last) *ticket = 0;  // for the next launch\n", ""),
    ("a block selects before the last has finished", "== gridDim.x - 1", "== gridDim.x - 2"),
    ("candidates overflow", "if (found > kSelectCandidates || found < k)", "if (found < k)"),
    ("prompts beyond the last", "if (index < m) keys[u]", "keys[u]"),
    ("fewer candidates than k", "if (found > kSelectCandidates || found < k)",
     "if (found > kSelectCandidates)"),
    ("the tile's maximum is that of eight", "int lanes = 8; lanes > 0", "int lanes = 4; lanes > 0"))
