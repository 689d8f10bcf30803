"""CLIP as trained here: a ViT beside a causal text transformer, on plain PyTorch.

The modules are named so that the state dict has Hugging Face's names (CLIPModel), which `cliptag` and
transformers load as they are.
"""
import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MAX_LOG_SCALE = math.log(100)  # the temperature never gets below 1/100


@dataclass
class Tower:
    """A stack of transformer layers; the defaults are those of Hugging Face's CLIPVisionConfig."""
    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    activation: str = 'quick_gelu'
    eps: float = 1e-5

    def check(self, what):
        if self.activation not in ('quick_gelu', 'gelu'):
            raise ValueError(f'{what}: hidden_act is "{self.activation}"; quick_gelu and gelu can be '
                             'trained.')
        if min(self.width, self.layers, self.heads, self.mlp_width) < 1 or self.width % self.heads:
            raise ValueError(f'{what}: a width of {self.width} cannot be divided among {self.heads} heads.')


@dataclass
class ModelConfig:
    vision: Tower = field(default_factory=Tower)
    text: Tower = field(default_factory=lambda: Tower(width=512, heads=8, mlp_width=2048))
    image_size: int = 224
    patch_size: int = 32
    context: int = 77
    vocab_size: int = 49408
    dim: int = 512
    log_scale: float = 2.6592
    bias: bool = False  # SigLIP's loss adds one to its logits

    def check(self):
        self.vision.check('vision_config')
        self.text.check('text_config')
        if self.image_size < self.patch_size or self.image_size % self.patch_size:
            raise ValueError(f'vision_config: patches of {self.patch_size} do not fill an image of '
                             f'{self.image_size} pixels.')
        return self


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, causal):
        batch, tokens, width = x.shape
        q, k, v = (p(x).view(batch, tokens, self.heads, -1).transpose(1, 2)  # (batch, heads, tokens, width)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(y.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, tower):
        super().__init__()
        self.fc1 = nn.Linear(tower.width, tower.mlp_width)
        self.fc2 = nn.Linear(tower.mlp_width, tower.width)
        self.quick = tower.activation == 'quick_gelu'

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x) if self.quick else F.gelu(x))


class Layer(nn.Module):
    def __init__(self, tower):
        super().__init__()
        self.self_attn = Attention(tower.width, tower.heads)
        self.layer_norm1 = nn.LayerNorm(tower.width, eps=tower.eps)
        self.mlp = Mlp(tower)
        self.layer_norm2 = nn.LayerNorm(tower.width, eps=tower.eps)

    def forward(self, x, causal):
        x = x + self.self_attn(self.layer_norm1(x), causal)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, tower, causal):
        super().__init__()
        self.causal = causal
        self.layers = nn.ModuleList(Layer(tower) for _ in range(tower.layers))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x, self.causal)
        return x


class VisionEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, patch = config.vision.width, config.patch_size
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // patch) ** 2 + 1, width)

    def forward(self, pixels):
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)  # (batch, patches, width)
        first = self.class_embedding.to(patches.dtype).expand(len(pixels), 1, -1)
        return torch.cat([first, patches], 1) + self.position_embedding.weight


class VisionModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        tower = config.vision
        self.embeddings = VisionEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(tower.width, eps=tower.eps)  # spelt as Hugging Face spells it
        self.encoder = Encoder(tower, causal=False)
        self.post_layernorm = nn.LayerNorm(tower.width, eps=tower.eps)

    def forward(self, pixels):
        x = self.encoder(self.pre_layrnorm(self.embeddings(pixels)))
        return self.post_layernorm(x[:, 0])


class TextEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.text.width)
        self.position_embedding = nn.Embedding(config.context, config.text.width)

    def forward(self, ids):
        return self.token_embedding(ids) + self.position_embedding.weight


class TextModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = TextEmbeddings(config)
        self.encoder = Encoder(config.text, causal=True)
        self.final_layer_norm = nn.LayerNorm(config.text.width, eps=config.text.eps)

    def forward(self, ids, ends):
        x = self.final_layer_norm(self.encoder(self.embeddings(ids)))
        return x[torch.arange(len(ids), device=ids.device), ends]


class Clip(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config.check()
        self.text_model = TextModel(config)
        self.vision_model = VisionModel(config)
        self.visual_projection = nn.Linear(config.vision.width, config.dim, bias=False)
        self.text_projection = nn.Linear(config.text.width, config.dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config.log_scale))
        if config.bias:
            self.logit_bias = nn.Parameter(torch.tensor(-10.0))
        self.set_pixels(CLIP_MEAN, CLIP_STD)
        self.initialize()

    def set_pixels(self, mean, std):
        """What is taken from pixels of 0..1 and what they are divided by; no part of the state dict."""
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def initialize(self):
        """CLIP's own: deeper towers begin with smaller residual branches."""
        config = self.config
        for tower, module in ((config.vision, self.vision_model), (config.text, self.text_model)):
            attention = tower.width ** -0.5
            branch = attention * (2 * tower.layers) ** -0.5
            for layer in module.encoder.layers:
                own = layer.self_attn
                for linear, deviation in (
                        (own.q_proj, attention), (own.k_proj, attention), (own.v_proj, attention),
                        (own.out_proj, branch), (layer.mlp.fc1, (2 * tower.width) ** -0.5),
                        (layer.mlp.fc2, branch)):
                    nn.init.normal_(linear.weight, std=deviation)
                    nn.init.zeros_(linear.bias)
        vision = config.vision.width ** -0.5
        pictures, texts = self.vision_model.embeddings, self.text_model.embeddings
        nn.init.normal_(pictures.class_embedding, std=vision)
        nn.init.normal_(pictures.position_embedding.weight, std=vision)
        nn.init.normal_(pictures.patch_embedding.weight, std=0.02)
        nn.init.normal_(texts.token_embedding.weight, std=0.02)
        nn.init.normal_(texts.position_embedding.weight, std=0.01)
        nn.init.normal_(self.visual_projection.weight, std=vision)
        nn.init.normal_(self.text_projection.weight, std=config.text.width ** -0.5)

    def encode_images(self, pixels):
        """Unit vectors (batch, dim) in f32 of pictures (batch, 3, size, size): bytes, or floats that are
        normalised already."""
        if pixels.dtype == torch.uint8:
            pixels = (pixels.float() / 255 - self.mean) / self.std
        return F.normalize(self.visual_projection(self.vision_model(pixels)).float(), dim=-1)

    def encode_texts(self, ids, ends):
        """Unit vectors in f32 of token ids (batch, context) whose end tokens stand at `ends`."""
        return F.normalize(self.text_projection(self.text_model(ids, ends)).float(), dim=-1)

    def forward(self, pixels, ids, ends):
        return self.encode_images(pixels), self.encode_texts(ids, ends)

    def clamp_scale(self):
        with torch.no_grad():
            self.logit_scale.clamp_(0, MAX_LOG_SCALE)


def parameter_groups(model, weight_decay):
    """Gains, biases, embeddings of positions and of the class, and the temperature are not decayed."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        spared = parameter.ndim < 2 or 'position_embedding' in name
        (free if spared else decayed).append(parameter)
    return [{'params': decayed, 'weight_decay': weight_decay}, {'params': free, 'weight_decay': 0.0}]


def freeze(model, towers):
    """Leaves 'vision', 'text' or both as they are; the projections into the joint space still learn."""
    for tower in towers:
        getattr(model, f'{tower}_model').requires_grad_(False)
