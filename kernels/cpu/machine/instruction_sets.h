// The tables of functions that are compiled once for each instruction set. A build has those of its
// architecture; kernels/cpu/dispatch_x86.cc and dispatch_baseline.cc choose by CpuLevel.
//
// They are constants, without constructors: code for an instruction set must not run when the
// program is loaded, since the CPU may not have it.
#pragma once

namespace cliptag {

struct AttentionTask;
struct EpilogueTask;
struct PanelKernel;
struct PreprocessKernels;
struct SimdKernels;
struct WinogradTransforms;

extern const SimdKernels kSimdBaseline, kSimdAvx2, kSimdAvx512;
// These replace entries of kSimdAvx512 on CPUs with AVX512-BF16.
void AttentionAvx512Bf16(const AttentionTask& task);
void EpilogueAvx512Bf16(const EpilogueTask& task);

extern const PanelKernel kPanelInt8Baseline;
extern const PanelKernel kPanelAvx512F32, kPanelAvx512Bf16, kPanelAvx512Vnni;
extern const PanelKernel kPanelAmxBf16, kPanelAmxInt8;

// Named by the types of maps and rows, and by the tile.
extern const WinogradTransforms kWinogradF32Tile2, kWinogradF32Tile4;
extern const WinogradTransforms kWinogradBf16F32Tile2, kWinogradBf16F32Tile4;
extern const WinogradTransforms kWinogradBf16Tile2;

extern const PreprocessKernels kPreprocessBaseline, kPreprocessAvx2, kPreprocessAvx512;

}  // namespace cliptag
