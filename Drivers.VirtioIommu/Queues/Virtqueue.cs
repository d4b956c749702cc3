// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Diagnostics;

namespace PasidFramework.Drivers.VirtioIommu.Queues;

internal enum UsedState
{
    Empty,
    Popped,

    /// <summary>The device wrote something impossible; the queue cannot be used any more.</summary>
    Broken,
}

/// <summary>The driver's side of a split virtqueue: writes descriptors, publishes chains, takes used ones. Not safe for
/// concurrent use.</summary>
internal sealed class Virtqueue
{
    private readonly IPhysicalMemory _memory;
    private readonly bool _flush;
    private ushort _nextAvailable;
    private ushort _nextUsed;
    private bool _isOrdered = true;

    /// <param name="address">First byte, a multiple of 16.</param>
    /// <param name="size">Descriptors, a power of two up to <see cref="VirtqueueLayout.MaxSize"/>.</param>
    /// <param name="flush">Whether the device sees only what was flushed.</param>
    public Virtqueue(IPhysicalMemory memory, ulong address, int size, bool flush)
    {
        Debug.Assert(
            (address & 15) == 0 && int.IsPow2(size) && size <= VirtqueueLayout.MaxSize, "virtio 1.2 section 2.7");
        _memory = memory;
        _flush = flush;
        Size = size;
        Descriptors = address;
        Available = address + (ulong)VirtqueueLayout.Available(size);
        Used = address + (ulong)VirtqueueLayout.Used(size);
    }

    public int Size { get; }
    public ulong Descriptors { get; }
    public ulong Available { get; }
    public ulong Used { get; }
    public int InFlight => (ushort)(_nextAvailable - _nextUsed);

    /// <summary>Makes a buffer for the device to write available, in a queue that is not enabled yet: without flush or
    /// barrier.</summary>
    /// <param name="index">The descriptor, from 0, each once and in order.</param>
    public void Prepare(int index, ulong address, int bytes)
    {
        ulong at = Descriptors + (ulong)(index * VirtqueueLayout.DescriptorBytes);
        _memory.WriteQword(at, address);
        _memory.WriteQword(at + 8, (uint)bytes | ((ulong)VirtqueueLayout.FlagWrite << 32));
        if (index != 0)
        {
            Span<byte> entry = stackalloc byte[2];
            BinaryPrimitives.WriteUInt16LittleEndian(entry, (ushort)index);
            _memory.Write(Available + 4 + (ulong)(index * 2), entry);
        }

        _nextAvailable++;
        if (_nextAvailable == Size)
        {
            StoreIndex();
        }
    }

    /// <summary>Writes two neighbouring descriptors that form a chain, as one piece.</summary>
    /// <param name="index">The first one's, even: both lie in one cache line.</param>
    public void SetPair(int index, ulong readable, int readableBytes, ulong writable, int writableBytes) => Store(
        Descriptors + (ulong)(index * VirtqueueLayout.DescriptorBytes),
        [
            readable,
            (uint)readableBytes | ((ulong)VirtqueueLayout.FlagNext << 32) | ((ulong)(index + 1) << 48),
            writable,
            (uint)writableBytes | ((ulong)VirtqueueLayout.FlagWrite << 32),
        ]);

    /// <summary>Stores what is not there already and writes it back, to be ordered by the next
    /// <see cref="Publish"/>.</summary>
    /// <param name="address">Byte address, a multiple of 8, in memory that only the driver writes now.</param>
    public void Store(ulong address, ReadOnlySpan<ulong> words)
    {
        int first = -1;
        int last = -1;
        for (int i = 0; i < words.Length; i++)
        {
            ulong at = address + (ulong)(i * 8);
            if (_memory.ReadQword(at) != words[i])
            {
                _memory.WriteQword(at, words[i]);
                first = first < 0 ? i : first;
                last = i;
            }
        }

        if (first >= 0)
        {
            Flush(address + (ulong)(first * 8), (last - first + 1) * 8);
            _isOrdered = false;
        }
    }

    /// <summary>Something that the next chain covers was stored elsewhere and is not ordered yet.</summary>
    public void ExpectStores() => _isOrdered = false;

    /// <summary>Puts a chain into the next place of the available ring; the device gets it with
    /// <see cref="Publish"/>.</summary>
    public void Offer(int head)
    {
        ulong at = Available + 4 + (ulong)((_nextAvailable & (Size - 1)) * 2);
        _nextAvailable++;
        Span<byte> entry = stackalloc byte[2];
        _memory.Read(at, entry);
        if (BinaryPrimitives.ReadUInt16LittleEndian(entry) == (ushort)head)
        {
            return;
        }

        BinaryPrimitives.WriteUInt16LittleEndian(entry, (ushort)head);
        _memory.Write(at, entry);
        Flush(at, 2);
        _isOrdered = false;
    }

    /// <summary>Gives all chains that were offered to the device: barrier, index, barrier (section 2.7.13); the caller
    /// notifies after. There is no first barrier where nothing was stored since the last one.</summary>
    public void Publish()
    {
        if (!_isOrdered)
        {
            _memory.StoreBarrier();
        }

        StoreIndex();
        Flush(Available, 4);
        _memory.StoreBarrier();
        _isOrdered = true;
    }

    /// <param name="head">First descriptor of the chain, below <see cref="Size"/>.</param>
    public UsedState TryPop(out int head, out uint length)
    {
        head = 0;
        length = 0;
        var index = (ushort)(_memory.ReadDword(Used) >> 16);
        var pending = (ushort)(index - _nextUsed);
        if (pending == 0)
        {
            return UsedState.Empty;
        }

        if (pending > InFlight)
        {
            return UsedState.Broken;
        }

        ulong at = Used + 4 + (ulong)((_nextUsed & (Size - 1)) * 8);
        uint id = _memory.ReadDword(at);
        if (id >= (uint)Size)
        {
            return UsedState.Broken;
        }

        head = (int)id;
        length = _memory.ReadDword(at + 4);
        _nextUsed++;
        return UsedState.Popped;
    }

    private void StoreIndex() =>
        _memory.WriteDword(Available, ((uint)_nextAvailable << 16) | VirtqueueLayout.AvailNoInterrupt);

    private void Flush(ulong address, int bytes)
    {
        if (_flush)
        {
            _memory.Flush(address, bytes);
        }
    }
}
