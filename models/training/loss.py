"""The losses, each over all N x N pairs of a batch that may be spread over processes.

Every process calls them with its own rows and gets its own share; the shares of all processes add up to
the loss of the whole batch, and so do the gradients.
"""
import torch
from torch.nn import functional as F

import distributed


def right_pairs(rows, total, concepts=None):
    """(n, total) of f32, 1 where this process's row and that of the whole batch belong together: its own
    text alone, or with concepts all that show and say the same thing."""
    if concepts is not None:
        return (concepts[:, None] == distributed.gather_values(concepts)[None, :]).float()
    own = torch.arange(len(rows), device=rows.device) + distributed.rank() * len(rows)
    return F.one_hot(own, total).float()


def cross_entropy(logits, targets):
    return -(targets * F.log_softmax(logits, dim=-1)).sum()


def clip_loss(images, texts, log_scale, concepts=None):
    """The symmetric contrastive loss.

    images, texts: unit vectors of this process's pairs, (n, dim). concepts: (n,) integers; pairs with the
    same one share the target mass. Without them each picture has its own text for its only right answer.
    """
    all_images, all_texts = distributed.gather(images), distributed.gather(texts)
    total = len(all_images)
    targets = right_pairs(images, total, concepts)
    targets = targets / targets.sum(-1, keepdim=True)
    scale = log_scale.exp()
    by_image = cross_entropy(scale * images @ all_texts.T, targets)
    by_text = cross_entropy(scale * texts @ all_images.T, targets)
    return (by_image + by_text) / (2 * total)


def siglip_loss(images, texts, log_scale, bias, concepts=None):
    """SigLIP's: every pair by itself is right or wrong. Several texts may be right for a picture."""
    all_texts = distributed.gather(texts)
    total = len(all_texts)
    right = right_pairs(images, total, concepts)
    logits = log_scale.exp() * images @ all_texts.T + bias
    return -F.logsigmoid((2 * right - 1) * logits).sum() / total


def loss_of(model, kind, images, texts, concepts=None):
    if kind == 'siglip':
        return siglip_loss(images, texts, model.logit_scale, model.logit_bias, concepts)
    return clip_loss(images, texts, model.logit_scale, concepts)
