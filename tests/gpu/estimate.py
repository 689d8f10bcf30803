"""What an H200 should need for the image encoders, on paper: bytes, operations and kernels, counted.

    estimate.py          prints the tables of estimates.md; a test compares them

A kernel takes as long as its operations or its bytes take, whichever is longer, and START before that. Tensor
cores lose what does not fill a tile, or all multiprocessors. What PyTorch would need is counted the same way: as
many kernels a layer, a 16-bit residual stream where ours is f32, the last layer for all tokens, cuDNN's
attention in tiles of 128 by 128.
"""
from dataclasses import dataclass

COPY = 4.3e12  # bytes a second, measured on such a card
PRODUCT = 790e12  # operations a second of a large bf16 product, likewise
MULTIPROCESSORS = 132
START = 2e-6  # of a kernel in a graph behind another: launch, first loads, last stores
SHARE = 0.92  # of PRODUCT that a product of a layer reaches when it fills the card: its depth is small
MMA_SYNC = (300e12, 420e12)  # what attention by mma.sync reaches on Hopper: FlashAttention-2, and its best tiles
CUDNN = 400e12  # what cuDNN's reaches at a head size of 64

# image, patch, width, layers, heads; as bench/shapes.cc.
MODELS = {"ViT-B/32": (224, 32, 768, 12, 12), "ViT-B/16": (224, 16, 768, 12, 12),
          "ViT-L/14": (224, 14, 1024, 24, 16), "ViT-L/14-336": (336, 14, 1024, 24, 16),
          "ViT-H/14": (224, 14, 1280, 32, 16)}


def up(n, step):
    return -(-n // step) * step


def kernel(bytes_moved, operations=0.0, rate=PRODUCT):
    return START + max(bytes_moved / COPY, operations / rate)


def product(rows, out, depth, bytes_out):
    """The best of some tiles, waves counted; small ones are bound by the weights' way into the card."""
    best = 1.0
    for tile_rows, tile_out, share in ((256, 128, 1.0), (128, 256, 1.0), (128, 128, 0.85), (64, 128, 0.6)):
        tiles = -(-rows // tile_rows) * -(-out // tile_out)
        waves = -(-tiles // MULTIPROCESSORS)
        operations = 2.0 * waves * MULTIPROCESSORS * tile_rows * tile_out * depth
        split = max(1, min(MULTIPROCESSORS // tiles, depth // 256))  # of the depth, by fewer tiles than processors
        best = min(best, operations / split / (PRODUCT * SHARE * share))
    return START + max(best, (2.0 * (rows * depth + out * depth) + bytes_out) / COPY)


@dataclass
class Attention:
    batch: int
    tokens: int
    heads: int
    head_dim: int

    def bytes(self):
        return 8.0 * self.batch * self.tokens * self.heads * self.head_dim

    def operations(self, queries, keys):
        return 4.0 * self.batch * self.heads * queries * keys * self.head_dim

    def ours(self, rate):
        """Queries to whole warps of 32 in even blocks, as kernels/cuda/attention/tile.h has it; keys to 16."""
        warps = -(-self.tokens // 32)
        blocks = -(-warps // 4)
        queries = blocks * -(-warps // blocks) * 32
        # Two blocks on a multiprocessor; one alone reaches two thirds of that.
        used = self.batch * self.heads * blocks / MULTIPROCESSORS / 1.5
        return START + max(self.bytes() / COPY,
                           self.operations(queries, up(self.tokens, 16)) / rate * max(1, 1 / used))

    def cudnn(self):
        edge = up(self.tokens, 128)
        used = self.batch * self.heads * edge / 128 / MULTIPROCESSORS
        return START + max(self.bytes() / COPY, self.operations(edge, edge) / CUDNN * max(1, 1 / used))


def encoder(shape, batch, attention, residual_bytes, pooled):
    """Seconds of a batch. `residual_bytes` of an element; `pooled`: the last layer for one token a picture."""
    image, patch, width, layers, heads = shape
    tokens = (image // patch) ** 2 + 1
    rows, mlp = batch * tokens, 4 * width
    fused = residual_bytes == 4  # the residual addition in the product's epilogue, else in the layer norm

    def layer(rows_kv, rows_rest, attend):
        stream = rows_rest * width
        norm = kernel(rows_kv * width * (6 if fused else 8))
        out = 8 if fused else 2  # bytes of an element that a product into the residual stream moves
        return (norm + product(rows_kv, 3 * width, width, 6.0 * rows_kv * width) + attend
                + product(rows_rest, width, width, out * stream) + kernel(stream * (6 if fused else 8))
                + product(rows_rest, mlp, width, 2.0 * rows_rest * mlp) + kernel(4.0 * rows_rest * mlp)
                + product(rows_rest, width, mlp, out * stream))

    time = product(rows - batch, width, 3 * patch * patch, 4.0 * rows * width)
    time += 2 * kernel(8.0 * rows * width) + 4 * START  # tokens and norm before; norm, projection, unit length after
    time += (layers - pooled) * layer(rows, rows, attention)
    if pooled:
        time += layer(rows, batch, kernel(4.0 * rows * width)) + 2 * START
    return time


def operations(shape):
    image, patch, width, layers, _ = shape
    t = (image // patch) ** 2 + 1
    return 2 * (t - 1) * width * 3 * patch * patch + (layers - 1) * (24 * t * width ** 2 + 4 * t * t * width)


def main():
    print("| model | batch | images/s | TFLOP/s | PyTorch, likely | ratio |\n| --- | --- | --- | --- | --- | --- |")
    for name, shape in MODELS.items():
        for batch in (1, 8, 32, 64, 256):
            attention = Attention(batch, (shape[0] // shape[1]) ** 2 + 1, shape[4], shape[2] // shape[4])
            slow, quick = (encoder(shape, batch, attention.ours(rate), 4, 1) for rate in MMA_SYNC)
            other = encoder(shape, batch, attention.cudnn(), 2, 0)
            rates = [operations(shape) * batch / seconds / 1e12 for seconds in (slow, quick)]
            print(f"| {name} | {batch} | {batch / slow:.0f} to {batch / quick:.0f} | {rates[0]:.0f} to {rates[1]:.0f} "
                  f"| {batch / other:.0f} | {other / slow:.2f} to {other / quick:.2f} |")
    print("\n| attention, batch 64 | µs | cuDNN, likely | ratio |\n| --- | --- | --- | --- |")
    for tokens, heads, head_dim in ((50, 12, 64), (197, 12, 64), (257, 16, 64), (257, 16, 80), (577, 16, 64)):
        attention = Attention(64, tokens, heads, head_dim)
        slow, quick = (attention.ours(rate) * 1e6 for rate in MMA_SYNC)
        other = attention.cudnn() * 1e6
        print(f"| {tokens} tokens, {heads} heads of {head_dim} | {slow:.0f} to {quick:.0f} | {other:.0f} "
              f"| {other / slow:.2f} to {other / quick:.2f} |")


if __name__ == "__main__":
    main()
