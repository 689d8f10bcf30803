"""Models in Hugging Face's layout, as `cliptag` and transformers load them, and the state to resume from."""
import json
import os
import shutil
from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file

import tokenizer as tokenizers
from model import CLIP_MEAN, CLIP_STD, Clip, ModelConfig, Tower

STATE = 'state.pt'
MODEL = 'model'
BICUBIC = 3  # PIL's code


@dataclass
class Pixels:
    """What preprocessor_config.json says beside the size."""
    mean: tuple = CLIP_MEAN
    std: tuple = CLIP_STD
    resample: int = BICUBIC
    squash: bool = False  # the whole picture made square, instead of its middle


def read_json(path):
    try:
        with open(path, encoding='utf-8') as f:
            return json.load(f)
    except OSError as e:
        raise ValueError(f'{path} cannot be read: {e.strerror}.') from e
    except ValueError as e:
        raise ValueError(f'{path} is no JSON: {e}.') from e


def read_tower(section, what, width, heads, mlp_width):
    tower = Tower(section.get('hidden_size', width), section.get('num_hidden_layers', 12),
                  section.get('num_attention_heads', heads), section.get('intermediate_size', mlp_width),
                  section.get('hidden_act', 'quick_gelu'), section.get('layer_norm_eps', 1e-5))
    tower.check(what)
    return tower


def read_config(path):
    """A ModelConfig from a config.json; what is left out has Hugging Face's defaults."""
    root = read_json(path)
    if root.get('model_type', 'clip') != 'clip':
        raise ValueError(f'{path}: model_type is "{root["model_type"]}"; only "clip" can be trained.')
    text = root.get('text_config_dict') or root.get('text_config') or {}
    vision = root.get('vision_config_dict') or root.get('vision_config') or {}
    return ModelConfig(
        vision=read_tower(vision, f'{path}: vision_config', 768, 12, 3072),
        text=read_tower(text, f'{path}: text_config', 512, 8, 2048),
        image_size=vision.get('image_size', 224), patch_size=vision.get('patch_size', 32),
        context=text.get('max_position_embeddings', 77), vocab_size=text.get('vocab_size', 49408),
        dim=root.get('projection_dim', 512), log_scale=root.get('logit_scale_init_value', 2.6592))


def config_json(config, tokenizer):
    def tower(t, kind):
        return {'model_type': kind, 'hidden_size': t.width, 'num_hidden_layers': t.layers,
                'num_attention_heads': t.heads, 'intermediate_size': t.mlp_width, 'hidden_act': t.activation,
                'layer_norm_eps': t.eps, 'projection_dim': config.dim}
    text = tower(config.text, 'clip_text_model') | {
        'max_position_embeddings': config.context, 'vocab_size': config.vocab_size,
        'bos_token_id': tokenizer.bos_id, 'eos_token_id': tokenizer.eos_id, 'pad_token_id': tokenizer.eos_id}
    vision = tower(config.vision, 'clip_vision_model') | {
        'image_size': config.image_size, 'patch_size': config.patch_size, 'num_channels': 3}
    return {'architectures': ['CLIPModel'], 'model_type': 'clip', 'projection_dim': config.dim,
            'logit_scale_init_value': config.log_scale, 'text_config': text, 'vision_config': vision}


def read_pixels(directory):
    path = os.path.join(directory, 'preprocessor_config.json')
    if not os.path.exists(path):
        return Pixels()
    root = read_json(path)
    size = root.get('size')
    squash = isinstance(size, dict) and 'shortest_edge' not in size
    return Pixels(tuple(root.get('image_mean', CLIP_MEAN)), tuple(root.get('image_std', CLIP_STD)),
                  root.get('resample', BICUBIC), squash)


def pixels_json(pixels, size):
    square = {'height': size, 'width': size}
    return {'image_processor_type': 'CLIPImageProcessor', 'do_convert_rgb': True, 'do_resize': True,
            'do_center_crop': not pixels.squash, 'do_rescale': True, 'do_normalize': True,
            'size': square if pixels.squash else {'shortest_edge': size}, 'crop_size': square,
            'resample': pixels.resample, 'rescale_factor': 1 / 255, 'image_mean': list(pixels.mean),
            'image_std': list(pixels.std)}


def read_tensors(directory):
    """The tensors of model.safetensors, of its shards, or of pytorch_model.bin."""
    index = os.path.join(directory, 'model.safetensors.index.json')
    one = os.path.join(directory, 'model.safetensors')
    pickle = os.path.join(directory, 'pytorch_model.bin')
    if os.path.exists(one):
        return load_file(one)
    if os.path.exists(index):
        tensors = {}
        for file in sorted(set(read_json(index)['weight_map'].values())):
            tensors.update(load_file(os.path.join(directory, file)))
        return tensors
    if os.path.exists(pickle):
        return torch.load(pickle, map_location='cpu', weights_only=True)
    raise ValueError(f'{directory} has no model.safetensors, no sharded one and no pytorch_model.bin.')


def load_model(directory, bias=False):
    """(model in f32, tokenizer, pixels) of a directory in Hugging Face's layout."""
    config = read_config(os.path.join(directory, 'config.json'))
    tensors = {k: v.float() for k, v in read_tensors(directory).items() if not k.endswith('.position_ids')}
    config.bias = bias or 'logit_bias' in tensors
    model = Clip(config)
    if bias and 'logit_bias' not in tensors:  # learnt from here on
        tensors['logit_bias'] = model.logit_bias.detach().clone()
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors or name not in expected:
            wrong = 'lack' if name in expected else 'have in excess'
            raise ValueError(f'{directory}: the weights {wrong} the tensor {name}.')
        if expected[name].shape != tensors[name].shape:
            raise ValueError(f'{directory}: {name} is {tuple(tensors[name].shape)}, but config.json wants '
                             f'{tuple(expected[name].shape)}.')
    model.load_state_dict(tensors)
    tokenizer = tokenizers.read(directory, config.context)
    check_vocabulary(tokenizer, config)
    return model, tokenizer, read_pixels(directory)


def check_vocabulary(tokenizer, config):
    largest = max(tokenizer.vocab.values())
    if largest >= config.vocab_size:
        raise ValueError(f'The tokenizer has ids up to {largest}, but the model\'s vocab_size is '
                         f'{config.vocab_size}; they do not belong together.')


def save_model(directory, model, tokenizer, pixels, dtype=torch.float16):
    """Writes a model directory; whoever reads it meanwhile finds the old one or the new one, whole."""
    tensors = {k: v.detach().to('cpu', dtype).contiguous() for k, v in model.state_dict().items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f'{name} holds numbers that are not finite in {dtype}; the model is not saved.')
    new, old = directory + '.new', directory + '.old'
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(new)
    save_file(tensors, os.path.join(new, 'model.safetensors'), metadata={'format': 'pt'})
    os.chmod(os.path.join(new, 'model.safetensors'), 0o644)  # some versions leave it to the owner alone
    tokenizer.save(new)
    files = {'config.json': config_json(model.config, tokenizer),
             'preprocessor_config.json': pixels_json(pixels, model.config.image_size)}
    for name, content in files.items():
        with open(os.path.join(new, name), 'w', encoding='utf-8') as f:
            json.dump(content, f, indent=1)
            f.write('\n')
    shutil.rmtree(old, ignore_errors=True)
    if os.path.exists(directory):
        os.rename(directory, old)
    os.rename(new, directory)
    shutil.rmtree(old, ignore_errors=True)


def save_state(directory, model, optimizer, step, recipe):
    """Everything that the next step depends on. The place in the data follows from the step."""
    path = os.path.join(directory, STATE)
    torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'step': step,
                'recipe': recipe, 'rng': torch.get_rng_state()}, path + '.new')
    os.replace(path + '.new', path)


def load_state(directory, model, optimizer, recipe):
    """Restores a state into model and optimizer; returns the number of steps done."""
    path = os.path.join(directory, STATE)
    if not os.path.exists(path):
        raise ValueError(f'{directory} has no {STATE}: there is nothing that --resume could go on with.')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as e:  # whatever a damaged file makes of it
        raise ValueError(f'{path} cannot be read: {str(e).splitlines()[0]}') from e
    for key, value in recipe.items():
        was = state['recipe'].get(key)
        if was != value:
            raise ValueError(f'{path} was made with {key}={was}, not {value}: a run goes on only as it was '
                             'begun. Name what it had, or begin another with --from.')
    model.load_state_dict(state['model'])
    optimizer.load_state_dict(state['optimizer'])
    torch.set_rng_state(state['rng'])
    return state['step']
