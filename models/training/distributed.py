"""Several processes as one: started by torchrun, else a single process for which all this does nothing.

Gradients are summed after the backward pass rather than by DistributedDataParallel, because a step
consists of several passes (accumulate.py) and must sum once.
"""
import os

import torch
import torch.distributed as dist


def active():
    return dist.is_available() and dist.is_initialized()


def rank():
    return dist.get_rank() if active() else 0


def world():
    return dist.get_world_size() if active() else 1


def start(device):
    """Joins the group that torchrun set up; returns the device of this process."""
    if int(os.environ.get('WORLD_SIZE', '1')) > 1 and not active():
        dist.init_process_group('nccl' if device == 'cuda' else 'gloo')
    if device == 'cuda':
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', '0')))
        return torch.device('cuda', torch.cuda.current_device())
    return torch.device(device)


def stop():
    if active():
        dist.destroy_process_group()


def barrier():
    if active():
        dist.barrier()


def gather_values(tensor):
    """The rows of all processes, in their order, without gradients."""
    if world() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


class Gather(torch.autograd.Function):
    """All rows forward; backward what the losses of all processes have to say about one's own."""

    @staticmethod
    def forward(context, tensor):
        context.rows = len(tensor)
        return gather_values(tensor)

    @staticmethod
    def backward(context, gradient):
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[rank() * context.rows:(rank() + 1) * context.rows]


def gather(tensor):
    return Gather.apply(tensor) if world() > 1 else tensor


def total(value):
    """The sum of a number over all processes."""
    if world() == 1:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value


def sum_gradients(parameters, bucket=1 << 24):
    """Adds up the gradients of all processes, some 16 million numbers at a time."""
    if world() == 1:
        return
    waiting, size = [], 0

    def flush():
        flat = torch.cat([p.grad.reshape(-1) for p in waiting])
        dist.all_reduce(flat)
        at = 0
        for p in waiting:
            p.grad.copy_(flat[at:at + p.numel()].view_as(p))
            at += p.numel()

    for parameter in parameters:
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:  # the same list in every process, whatever took part
            parameter.grad = torch.zeros_like(parameter)
        waiting.append(parameter)
        size += parameter.numel()
        if size >= bucket:
            flush()
            waiting, size = [], 0
    if waiting:
        flush()


def same_everywhere(tensors):
    """Process 0's values for all, should weights have been made differently."""
    if active():
        for tensor in tensors:
            dist.broadcast(tensor.data, 0)
