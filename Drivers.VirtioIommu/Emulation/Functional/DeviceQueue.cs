using System.Buffers.Binary;
using PasidFramework.Drivers.VirtioIommu.Queues;
using PasidFramework.Hardware;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>One stretch of memory of a chain.</summary>
internal readonly record struct ChainPart(ulong Address, uint Bytes);

/// <summary>What the device found when it looked for work.</summary>
internal enum ChainState
{
    /// <summary>No chain is available.</summary>
    Empty,

    /// <summary>A chain was taken.</summary>
    Taken,

    /// <summary>The ring or a chain violates the specification.</summary>
    Malformed,
}

/// <summary>
/// The device's side of a split virtqueue (OASIS virtio 1.2 section 2.7). It reads the rings from memory at every step
/// and trusts nothing in them. Not safe for concurrent use.
/// </summary>
internal sealed class DeviceQueue
{
    /// <summary>The queue size that the device offers, in descriptors.</summary>
    public const int MaxSize = 256;

    private readonly IDeviceMemory _memory;
    private readonly IMemoryReader? _stored;
    private ushort _nextAvailable;
    private ushort _nextUsed;

    /// <summary>Makes a queue that is not set up.</summary>
    /// <param name="memory">The memory as the device sees it.</param>
    /// <param name="stored">The memory as the driver stored it, where that can be something else; else null.</param>
    public DeviceQueue(IDeviceMemory memory, IMemoryReader? stored = null)
    {
        _memory = memory;
        _stored = stored;
    }

    /// <summary>The available index up to which the device has taken chains.</summary>
    public ushort NextAvailable => _nextAvailable;

    /// <summary>Number of descriptors; 0 before the driver has set it.</summary>
    public int Size { get; set; }

    /// <summary>Whether the driver has enabled it.</summary>
    public bool Ready { get; set; }

    /// <summary>Byte address of the descriptor table.</summary>
    public ulong Descriptors { get; set; }

    /// <summary>Byte address of the available ring.</summary>
    public ulong Available { get; set; }

    /// <summary>Byte address of the used ring.</summary>
    public ulong Used { get; set; }

    /// <summary>Parts of the taken chain that the device reads.</summary>
    public List<ChainPart> Readable { get; } = [];

    /// <summary>Parts of the taken chain that the device writes.</summary>
    public List<ChainPart> Writable { get; } = [];

    /// <summary>First descriptor of the taken chain.</summary>
    public int Head { get; private set; }

    /// <summary>Whether size and addresses are acceptable, so that it may be enabled.</summary>
    public bool IsValid => Size is > 0 and <= MaxSize && int.IsPow2(Size)
        && (Descriptors & 15) == 0 && (Available & 1) == 0 && (Used & 3) == 0
        && _memory.IsBacked(Descriptors, VirtqueueLayout.DescriptorBytes * Size)
        && _memory.IsBacked(Available, 6 + (2 * Size))
        && _memory.IsBacked(Used, 6 + (8 * Size));

    /// <summary>Bytes that the device may write into the taken chain.</summary>
    public long WritableBytes
    {
        get
        {
            long bytes = 0;
            foreach (ChainPart part in Writable)
            {
                bytes += part.Bytes;
            }

            return bytes;
        }
    }

    /// <summary>Forgets everything, as a reset of the device does.</summary>
    public void Reset()
    {
        Size = 0;
        Ready = false;
        Descriptors = 0;
        Available = 0;
        Used = 0;
        _nextAvailable = 0;
        _nextUsed = 0;
    }

    /// <summary>Takes the next chain.</summary>
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
            return _stored is not null && (ushort)(Read16(_stored, Available + 2) - _nextAvailable) <= Size
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

    /// <summary>Copies the start of what the driver wrote.</summary>
    /// <returns>Bytes copied.</returns>
    public int Read(Span<byte> destination)
    {
        int count = 0;
        foreach (ChainPart part in Readable)
        {
            int bytes = (int)Math.Min(part.Bytes, (uint)(destination.Length - count));
            _memory.Read(part.Address, destination.Slice(count, bytes));
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
            _memory.Write(part.Address, source[..bytes]);
            source = source[bytes..];
        }
    }

    /// <summary>Gives the taken chain back.</summary>
    /// <param name="length">Bytes that were written.</param>
    /// <returns>Whether the driver wants an interrupt.</returns>
    public bool Return(uint length)
    {
        ulong at = Used + 4 + (ulong)((_nextUsed & (Size - 1)) * 8);
        _memory.WriteDword(at, (uint)Head);
        _memory.WriteDword(at + 4, length);
        Interlocked.MemoryBarrier();
        _nextUsed++;
        _memory.WriteDword(Used, (uint)_nextUsed << 16);
        return (Read16(Available) & VirtqueueLayout.AvailNoInterrupt) == 0;
    }

    private bool Collect(int head)
    {
        Readable.Clear();
        Writable.Clear();
        int index = head;
        for (int count = 0; count < Size; count++)
        {
            ulong at = Descriptors + ((ulong)index * VirtqueueLayout.DescriptorBytes);
            if (index >= Size)
            {
                return false;
            }

            ulong address = _memory.ReadQword(at);
            ulong rest = _memory.ReadQword(at + 8);
            var part = new ChainPart(address, (uint)rest);
            var flags = (ushort)(rest >> 32);
            bool writable = (flags & VirtqueueLayout.FlagWrite) != 0;

            // Section 2.7.4.2: what the device writes comes after what it reads. Indirect tables were not negotiated.
            if ((flags & VirtqueueLayout.FlagIndirect) != 0 || (!writable && Writable.Count > 0)
                || part.Bytes == 0 || !_memory.IsBacked(part.Address, part.Bytes))
            {
                return false;
            }

            (writable ? Writable : Readable).Add(part);
            if ((flags & VirtqueueLayout.FlagNext) == 0)
            {
                return true;
            }

            index = (int)(rest >> 48);
        }

        // Longer than the table: a loop.
        return false;
    }

    private ushort Read16(ulong address) => Read16(_memory, address);

    private static ushort Read16(IMemoryReader memory, ulong address)
    {
        Span<byte> bytes = stackalloc byte[2];
        memory.Read(address, bytes);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }
}
