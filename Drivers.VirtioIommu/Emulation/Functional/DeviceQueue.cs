// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

internal readonly record struct ChainPart(ulong Address, uint Bytes);

internal enum ChainState
{
    Empty,
    Taken,
    Malformed,
}

/// <summary>The device's side of a split virtqueue (OASIS virtio 1.2 section 2.7). It reads the rings from memory at
/// every step and trusts nothing in them. Not safe for concurrent use.</summary>
/// <param name="memory">The memory as the device sees it.</param>
/// <param name="stored">The memory as the driver stored it, where that can be something else; else null.</param>
internal sealed class DeviceQueue(IDeviceMemory memory, IMemoryReader? stored = null)
{
    /// <summary>The queue size that the device offers, in descriptors.</summary>
    public const int MaxSize = 256;

    private ushort _nextAvailable;
    private ushort _nextUsed;

    /// <summary>The available index up to which the device has taken chains.</summary>
    public ushort NextAvailable => _nextAvailable;

    public int Size { get; set; }
    public bool Ready { get; set; }
    public ulong Descriptors { get; set; }
    public ulong Available { get; set; }
    public ulong Used { get; set; }

    /// <summary>Parts of the taken chain that the device reads.</summary>
    public List<ChainPart> Readable { get; } = [];

    /// <summary>Parts of the taken chain that the device writes.</summary>
    public List<ChainPart> Writable { get; } = [];

    public int Head { get; private set; }

    /// <summary>Whether size and addresses are acceptable, so that it may be enabled.</summary>
    public bool IsValid => Size is > 0 and <= MaxSize && int.IsPow2(Size)
        && (Descriptors & 15) == 0 && (Available & 1) == 0 && (Used & 3) == 0
        && memory.IsBacked(Descriptors, VirtqueueLayout.DescriptorBytes * Size)
        && memory.IsBacked(Available, 6 + (2 * Size))
        && memory.IsBacked(Used, 6 + (8 * Size));

    /// <summary>Bytes that the device may write into the taken chain.</summary>
    public long WritableBytes { get; private set; }

    public void Reset()
    {
        (Size, Ready) = (0, false);
        (Descriptors, Available, Used) = (0, 0, 0);
        (_nextAvailable, _nextUsed) = (0, 0);
    }

    public ChainState TryTake()
    {
        ushort index = Read16(Available + 2);
        var pending = (ushort)(index - _nextAvailable);
        if (pending == 0)
        {
            return ChainState.Empty;
        }

        if (pending > Size)
        {
            // What was seen early (a store that is still on its way) may be gone again for one look: nothing is wrong
            // with the ring as long as what the driver stored makes sense.
            return stored is not null && (ushort)(Read16(stored, Available + 2) - _nextAvailable) <= Size
                ? ChainState.Empty
                : ChainState.Malformed;
        }

        Head = Read16(Available + 4 + (ulong)((_nextAvailable & (Size - 1)) * 2));
        if (!Collect(Head))
        {
            return ChainState.Malformed;
        }

        _nextAvailable++;
        return ChainState.Taken;
    }

    public int Read(Span<byte> destination)
    {
        int count = 0;
        foreach (ChainPart part in Readable)
        {
            int bytes = (int)Math.Min(part.Bytes, (uint)(destination.Length - count));
            memory.Read(part.Address, destination.Slice(count, bytes));
            count += bytes;
        }

        return count;
    }

    /// <summary>Writes an answer into the chain from its first writable byte on; it must fit.</summary>
    public void Write(ReadOnlySpan<byte> source)
    {
        foreach (ChainPart part in Writable)
        {
            int bytes = (int)Math.Min(part.Bytes, (uint)source.Length);
            memory.Write(part.Address, source[..bytes]);
            source = source[bytes..];
        }
    }

    /// <returns>Whether the driver wants an interrupt.</returns>
    public bool Return(uint length)
    {
        ulong at = Used + 4 + (ulong)((_nextUsed & (Size - 1)) * 8);
        memory.WriteDword(at, (uint)Head);
        memory.WriteDword(at + 4, length);
        Interlocked.MemoryBarrier();
        _nextUsed++;
        memory.WriteDword(Used, (uint)_nextUsed << 16);
        return (Read16(Available) & VirtqueueLayout.AvailNoInterrupt) == 0;
    }

    private bool Collect(int head)
    {
        Readable.Clear();
        Writable.Clear();
        WritableBytes = 0;
        int index = head;
        for (int count = 0; count < Size; count++)
        {
            ulong at = Descriptors + ((ulong)index * VirtqueueLayout.DescriptorBytes);
            if (index >= Size)
            {
                return false;
            }

            ulong address = memory.ReadQword(at);
            ulong rest = memory.ReadQword(at + 8);
            var part = new ChainPart(address, (uint)rest);
            var flags = (ushort)(rest >> 32);
            bool writable = (flags & VirtqueueLayout.FlagWrite) != 0;

            // Section 2.7.4.2: what the device writes comes after what it reads. Indirect tables were not negotiated.
            if ((flags & VirtqueueLayout.FlagIndirect) != 0 || (!writable && Writable.Count > 0)
                || part.Bytes == 0 || !memory.IsBacked(part.Address, part.Bytes))
            {
                return false;
            }

            (writable ? Writable : Readable).Add(part);
            WritableBytes += writable ? part.Bytes : 0;
            if ((flags & VirtqueueLayout.FlagNext) == 0)
            {
                return true;
            }

            index = (int)(rest >> 48);
        }

        // Longer than the table: a loop.
        return false;
    }

    private ushort Read16(ulong address) => Read16(memory, address);

    private static ushort Read16(IMemoryReader reader, ulong address)
    {
        Span<byte> bytes = stackalloc byte[2];
        reader.Read(address, bytes);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }
}
