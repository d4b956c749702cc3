// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace PasidFramework.Hardware;

/// <summary>
/// Plain physical memory: a growing span of 64 KiB frames, page allocations by a bump pointer with a free list per size
/// and alignment, so that freed page memory is used again. Stores are visible at once.
/// </summary>
/// <remarks>
/// Frames hold 64-bit words, so an aligned 64-bit store is one access that a concurrent reader sees whole. Loads and
/// stores take no lock; allocation takes a lock.
/// </remarks>
public sealed class SystemMemory : IPhysicalMemory
{
    private const int FrameShift = 16;
    private const int FrameQwords = 1 << (FrameShift - 3);
    private readonly ulong _base;
    private readonly ulong[]?[] _frames;
    private readonly Dictionary<ulong, (int Bytes, int Alignment)> _live = [];
    private readonly Dictionary<(int Bytes, int Alignment), Stack<ulong>> _free = [];
    private readonly Lock _gate = new();
    private ulong _next;
    private long _allocatedBytes;

    /// <summary>Makes memory.</summary>
    /// <param name="baseAddress">First address, a multiple of 64 KiB, not 0 (address 0 stands for "none").</param>
    /// <param name="capacityBytes">Most bytes it may hold, 64 KiB to 1 TiB; beyond, allocation answers ENOMEM.</param>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public SystemMemory(ulong baseAddress = 0x1_0000_0000, long capacityBytes = 8L << 30)
    {
        if (baseAddress == 0 || (baseAddress & ((1UL << FrameShift) - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(baseAddress), baseAddress, "The base must be a multiple of 64 KiB and not 0.");
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(capacityBytes, 1L << FrameShift);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacityBytes, 1L << 40);
        _base = baseAddress;
        _next = baseAddress;
        _frames = new ulong[(capacityBytes + (1L << FrameShift) - 1) >> FrameShift][];
    }

    /// <summary>Bytes in live allocations.</summary>
    public long AllocatedBytes => Interlocked.Read(ref _allocatedBytes);

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        if (alignmentBytes < 4096 || !BitOperations.IsPow2(alignmentBytes))
        {
            throw new ArgumentOutOfRangeException(
                nameof(alignmentBytes), alignmentBytes, "Alignment is a power of two, at least 4096 bytes.");
        }

        int size = RoundUp(bytes);
        lock (_gate)
        {
            ulong address;
            if (_free.TryGetValue((size, alignmentBytes), out Stack<ulong>? stack) && stack.Count > 0)
            {
                address = stack.Pop();
                Zero(address, size);
            }
            else
            {
                address = (_next + (ulong)alignmentBytes - 1) & ~((ulong)alignmentBytes - 1);
                ulong end = address + (ulong)size;
                if (end - _base > (ulong)_frames.LongLength << FrameShift)
                {
                    return OpResult<ulong>.Refuse(Errno.ENOMEM,
                        $"{size} bytes of page memory do not fit: {_frames.LongLength << FrameShift} bytes are the "
                            + $"limit");
                }

                for (ulong frame = (address - _base) >> FrameShift; frame <= (end - 1 - _base) >> FrameShift; frame++)
                {
                    // Pinned memory does not live in generation 0, whose budget 64 KiB arrays would drive up.
                    _frames[frame] ??= GC.AllocateArray<ulong>(FrameQwords, pinned: true);
                }

                _next = end;
            }

            _live[address] = (size, alignmentBytes);
            _allocatedBytes += size;
            return OpResult<ulong>.Ok(address);
        }
    }

    public void FreePages(ulong address, int bytes)
    {
        lock (_gate)
        {
            if (!_live.TryGetValue(address, out (int Bytes, int Alignment) live) || live.Bytes != RoundUp(bytes))
            {
                throw new ArgumentException(Text($"No allocation of {bytes} bytes at 0x{address:x}."), nameof(address));
            }

            _live.Remove(address);
            _allocatedBytes -= live.Bytes;
            if (!_free.TryGetValue(live, out Stack<ulong>? stack))
            {
                _free[live] = stack = new Stack<ulong>();
            }

            stack.Push(address);
        }
    }

    public ulong ReadQword(ulong address)
    {
        CheckAlignment(address, 8);
        ulong[]? frame = Frame(address);
        return frame is null ? 0 : Volatile.Read(ref frame[Index(address)]);
    }

    public void WriteQword(ulong address, ulong value)
    {
        CheckAlignment(address, 8);
        Volatile.Write(ref BackedFrame(address)[Index(address)], value);
    }

    public uint ReadDword(ulong address)
    {
        CheckAlignment(address, 4);
        return (uint)(ReadQword(address & ~7UL) >> (int)((address & 4) * 8));
    }

    public void WriteDword(ulong address, uint value)
    {
        CheckAlignment(address, 4);
        int shift = (int)((address & 4) * 8);
        Merge(ref BackedFrame(address)[Index(address)], (ulong)value << shift, 0xFFFF_FFFFUL << shift);
    }

    public void Read(ulong address, Span<byte> destination)
    {
        Span<byte> word = stackalloc byte[8];
        while (!destination.IsEmpty)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, ReadQword(address & ~7UL));
            int offset = (int)(address & 7);
            int count = Math.Min(8 - offset, destination.Length);
            word.Slice(offset, count).CopyTo(destination);
            destination = destination[count..];
            address += (uint)count;
        }
    }

    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        Span<byte> word = stackalloc byte[8];
        while (!source.IsEmpty)
        {
            int offset = (int)(address & 7);
            int count = Math.Min(8 - offset, source.Length);
            word.Clear();
            source[..count].CopyTo(word[offset..]);
            ulong mask = (count == 8 ? ulong.MaxValue : (1UL << (count * 8)) - 1) << (offset * 8);
            Merge(ref BackedFrame(address)[Index(address)], BinaryPrimitives.ReadUInt64LittleEndian(word), mask);
            source = source[count..];
            address += (uint)count;
        }
    }

    public void Flush(ulong address, int bytes)
    {
        // Stores are visible to every reader of this memory as soon as they are made.
    }

    public void StoreBarrier() => Volatile.WriteBarrier();

    public void ReadWords(ulong address, Span<ulong> words)
    {
        CheckAlignment(address, 8);
        while (!words.IsEmpty)
        {
            int index = Index(address);
            int count = Math.Min(FrameQwords - index, words.Length);
            if (Frame(address) is { } frame)
            {
                frame.AsSpan(index, count).CopyTo(words);
            }
            else
            {
                words[..count].Clear();
            }

            words = words[count..];
            address += (ulong)count << 3;
        }
    }

    public uint WriteWords(ulong address, ReadOnlySpan<ulong> words)
    {
        CheckAlignment(address, 8);
        uint differing = 0;
        for (int done = 0; done < words.Length;)
        {
            int index = Index(address);
            int count = Math.Min(FrameQwords - index, words.Length - done);
            Span<ulong> there = BackedFrame(address).AsSpan(index, count);
            ReadOnlySpan<ulong> values = words.Slice(done, count);
            differing |= Replace(values, there) << done;
            done += count;
            address += (ulong)count << 3;
        }

        return differing;
    }

    public void WriteEntry(ulong address, ReadOnlySpan<ulong> words)
    {
        CheckAlignment(address, 8);
        int index = Index(address);
        if (index + words.Length > FrameQwords)
        {
            _ = WriteWords(address + 8, words[1..]);
            WriteQword(address, words[0]);
            return;
        }

        Span<ulong> there = BackedFrame(address).AsSpan(index, words.Length);
        _ = Replace(words[1..], there[1..]);
        Volatile.Write(ref there[0], words[0]);
    }

    public void FillWords(ulong address, int count, ulong value)
    {
        CheckAlignment(address, 8);
        while (count > 0)
        {
            int index = Index(address);
            int part = Math.Min(FrameQwords - index, count);
            BackedFrame(address).AsSpan(index, part).Fill(value);
            count -= part;
            address += (ulong)part << 3;
        }
    }

    public bool IsBacked(ulong address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ulong end = address + (ulong)bytes;
        if (end < address)
        {
            return false;
        }

        for (ulong frame = address >> FrameShift; frame << FrameShift < end; frame++)
        {
            if (Frame(frame << FrameShift) is null)
            {
                return false;
            }
        }

        return true;
    }

    // Bit i of the result: word i differed. Entries of 4 to 8 words take two vectors that overlap; 64-bit lanes are
    // whole.
    private static uint Replace(ReadOnlySpan<ulong> values, Span<ulong> there)
    {
        uint differing = 0;
        if (values.Length is < 4 or > 8)
        {
            for (int i = 0; i < values.Length; i++)
            {
                differing |= (there[i] == values[i] ? 0u : 1u) << i;
            }

            values.CopyTo(there);
            return differing;
        }

        ref ulong source = ref MemoryMarshal.GetReference(values);
        ref ulong target = ref MemoryMarshal.GetReference(there[..values.Length]);
        nuint second = (nuint)(values.Length - 4);
        var low = Vector256.LoadUnsafe(ref source);
        var high = Vector256.LoadUnsafe(ref source, second);
        differing = ~Vector256.Equals(low, Vector256.LoadUnsafe(ref target)).ExtractMostSignificantBits() & 0xF;
        differing |= (~Vector256.Equals(high, Vector256.LoadUnsafe(ref target, second))
            .ExtractMostSignificantBits() & 0xF)
            << (int)second;
        low.StoreUnsafe(ref target);
        high.StoreUnsafe(ref target, second);
        return differing;
    }

    private static int RoundUp(int bytes) => (bytes + 4095) & ~4095;
    private static int Index(ulong address) => (int)((address >> 3) & (FrameQwords - 1));

    private static void CheckAlignment(ulong address, uint bytes)
    {
        if ((address & (bytes - 1)) != 0)
        {
            throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of {bytes}."), nameof(address));
        }
    }

    // Neighbouring fields of one word may be written by two threads, so a partial store must not lose the other's half.
    private static void Merge(ref ulong word, ulong value, ulong mask)
    {
        if (mask == ulong.MaxValue)
        {
            Volatile.Write(ref word, value);
            return;
        }

        ulong seen = Volatile.Read(ref word);
        while (true)
        {
            ulong before = Interlocked.CompareExchange(ref word, (seen & ~mask) | (value & mask), seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }

    private ulong[]? Frame(ulong address)
    {
        ulong index = (address - _base) >> FrameShift;
        return address >= _base && index < (ulong)_frames.LongLength ? Volatile.Read(ref _frames[index]) : null;
    }

    private ulong[] BackedFrame(ulong address) => Frame(address) ?? throw new ArgumentException(
        Text($"There is no memory at 0x{address:x}."), nameof(address));

    private void Zero(ulong address, int bytes)
    {
        for (ulong at = address; at < address + (ulong)bytes;)
        {
            int index = Index(at);
            int count = Math.Min(FrameQwords - index, (int)((address + (ulong)bytes - at) >> 3));
            Array.Clear(BackedFrame(at), index, count);
            at += (ulong)count << 3;
        }
    }
}
