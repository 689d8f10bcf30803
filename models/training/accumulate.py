"""A step over a batch that does not fit: exactly the gradient of the whole, at the memory of a part.

A contrastive loss sees all pairs at once, so gradients of parts do not add up to that of the batch. But
the loss reaches the weights through the embeddings alone. So (as GradCache): every part is embedded
without keeping its activations, the loss of all embeddings gives a gradient for each of them, and every
part is embedded once more to carry its own gradients to the weights. That costs one forward pass more.
"""
from contextlib import nullcontext

import torch

import distributed
from loss import loss_of


def embed(model, part, autocast):
    device = model.logit_scale.device
    with autocast():
        return model(*(part[k].to(device, non_blocking=True) for k in ('pixels', 'ids', 'ends')))


def parts_of(batch, size):
    count = len(batch['pixels'])
    return [{k: v[i:i + size] for k, v in batch.items()} for i in range(0, count, size)]


def backward(model, batch, kind='clip', micro_batch=0, soft_targets=False, autocast=nullcontext):
    """Adds the gradients of the batch's loss to the parameters; returns the loss over all processes.

    batch: this process's pixels, ids, ends and concepts. micro_batch: pairs embedded together; 0 or no
    fewer than there are: all of them, in one pass.
    """
    concepts = batch['concepts'].to(model.logit_scale.device) if soft_targets else None
    if not 0 < micro_batch < len(batch['pixels']):
        loss = loss_of(model, kind, *embed(model, batch, autocast), concepts)
        loss.backward()
    else:
        parts = parts_of(batch, micro_batch)
        with torch.no_grad():
            pairs = [embed(model, part, autocast) for part in parts]
        images, texts = (torch.cat(x).requires_grad_() for x in zip(*pairs))
        loss = loss_of(model, kind, images, texts, concepts)
        loss.backward()  # to the embeddings and to the temperature
        at = 0
        for part in parts:
            own = embed(model, part, autocast)
            end = at + len(own[0])
            # A frozen tower needs no gradient.
            wanted = [(x, g[at:end]) for x, g in zip(own, (images.grad, texts.grad)) if x.requires_grad]
            torch.autograd.backward([x for x, _ in wanted], [g for _, g in wanted])
            at = end
    distributed.sum_gradients(model.parameters())
    return distributed.total(loss.detach())
