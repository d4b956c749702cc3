// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// Memory of a software model. A walker that does not snoop sees flushed lines only; with <see cref="StoreOrder.Weak"/>
/// it is certain to see them only after a barrier. A fresh page shows poison to the walker until its zeroes have
/// arrived.
/// </summary>
/// <remarks>
/// Addresses are byte addresses. A flush works on whole cache lines of 64 bytes and captures what they hold at that
/// moment. Safe for concurrent use; <see cref="ForEachVisible"/> and <see cref="ForEachTornRead"/> are for one thread
/// at a time.
/// </remarks>
public sealed class ModelMemory : IModelMemory
{
    /// <summary>
    /// What a walker reads of a fresh page before its zeroes arrive: valid bits and reserved bits of all formats are
    /// set in it.
    /// </summary>
    public const ulong Poison = 0xDEAD_BEEF_DEAD_BEEF;

    private const int MaxTornReads = 1024;
    private const ulong PageMask = WalkerPages.PageBytes - 1;
    private const ulong LineMask = StoreBuffer.LineBytes - 1;
    private readonly Lock _gate = new();
    private readonly SystemMemory _cpu;
    private readonly WalkerPages _seen = new();
    private readonly StoreBuffer _pending;
    private long _events;

    /// <summary>Makes memory.</summary>
    /// <param name="isCoherent">Whether the walker snoops, so that stores need no flush.</param>
    /// <param name="order">When stores (or flushed lines) are seen.</param>
    /// <param name="baseAddress">First address, a multiple of 64 KiB, not 0.</param>
    /// <param name="capacityBytes">Most bytes it may hold, 64 KiB to 1 TiB.</param>
    /// <exception cref="ArgumentOutOfRangeException">A parameter is out of its range.</exception>
    public ModelMemory(
        bool isCoherent = true,
        StoreOrder order = StoreOrder.Immediate,
        ulong baseAddress = 0x1_0000_0000,
        long capacityBytes = 1L << 30)
    {
        _cpu = new SystemMemory(baseAddress, capacityBytes);
        IsCoherent = isCoherent;
        Order = order;
        _pending = new StoreBuffer(_seen, isCoherent, order);
        Device = new WalkerMemory(_gate, _cpu, _seen, _pending);
    }

    public event Action<MemoryEvent>? Changed;
    public bool IsCoherent { get; }
    public StoreOrder Order { get; }
    public IDeviceMemory Device { get; }
    public long AllocatedBytes => _cpu.AllocatedBytes;

    /// <summary>Events so far.</summary>
    public long EventCount => Interlocked.Read(ref _events);

    public IReadOnlyList<StrayRead> StrayReads
    {
        get
        {
            lock (_gate)
            {
                return [.. _seen.Strays];
            }
        }
    }

    /// <summary>Stores (or flushed lines) that a walker may or may not see now, because no barrier followed.</summary>
    public int PendingStores
    {
        get
        {
            lock (_gate)
            {
                return _pending.Count;
            }
        }
    }

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        OpResult<ulong> taken;
        lock (_gate)
        {
            taken = _cpu.AllocatePages(bytes, alignmentBytes);
            if (!taken.IsOk)
            {
                return taken;
            }

            _pending.Allocated(taken.Value, taken.Value + RoundUp(bytes));
        }

        Raise(MemoryEventKind.Allocate, taken.Value, bytes, 0);
        return taken;
    }

    public void FreePages(ulong address, int bytes)
    {
        lock (_gate)
        {
            _cpu.FreePages(address, bytes);
            _pending.Freed(address, address + RoundUp(bytes));
        }

        Raise(MemoryEventKind.Free, address, bytes, 0);
    }

    public ulong ReadQword(ulong address) => _cpu.ReadQword(address);
    public uint ReadDword(ulong address) => _cpu.ReadDword(address);
    public void Read(ulong address, Span<byte> destination) => _cpu.Read(address, destination);

    public bool IsBacked(ulong address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_gate)
        {
            return _seen.IsLive(address, bytes);
        }
    }

    public void WriteQword(ulong address, ulong value)
    {
        lock (_gate)
        {
            _seen.RequireLive(address, 8);
            _cpu.WriteQword(address, value);
            _pending.Stored(address, value);
        }

        Raise(MemoryEventKind.Store, address, 8, value);
    }

    public void WriteDword(ulong address, uint value)
    {
        ulong whole;
        lock (_gate)
        {
            _seen.RequireLive(address, 4);
            _cpu.WriteDword(address, value);
            whole = _cpu.ReadQword(address & ~7UL);
            _pending.Stored(address & ~7UL, whole);
        }

        Raise(MemoryEventKind.Store, address & ~7UL, 8, whole);
    }

    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            ulong word = address & ~7UL;
            int count = Math.Min(8 - (int)(address & 7), source.Length);
            ulong whole;
            lock (_gate)
            {
                _seen.RequireLive(address, count);
                _cpu.Write(address, source[..count]);
                whole = _cpu.ReadQword(word);
                _pending.Stored(word, whole);
            }

            Raise(MemoryEventKind.Store, word, 8, whole);
            source = source[count..];
            address += (uint)count;
        }
    }

    public void Flush(ulong address, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_gate)
        {
            ulong end = address + (ulong)bytes;
            for (ulong line = address & ~LineMask; line < end; line += StoreBuffer.LineBytes)
            {
                _pending.WriteBack(line, _cpu);
            }
        }

        Raise(MemoryEventKind.Flush, address, bytes, 0);
    }

    public void StoreBarrier()
    {
        lock (_gate)
        {
            _pending.Barrier();
        }

        Raise(MemoryEventKind.Barrier, 0, 0, 0);
    }

    public int ForEachVisible(Action probe)
    {
        ArgumentNullException.ThrowIfNull(probe);
        StoreBuffer.Snapshot snapshot;
        lock (_gate)
        {
            snapshot = _pending.Take();
        }

        int runs = 0;
        foreach (bool[] visible in StoreBuffer.Subsets(snapshot.Count))
        {
            Dictionary<ulong, ulong> before;
            lock (_gate)
            {
                before = snapshot.Show(visible, _seen);
            }

            try
            {
                probe();
                runs++;
            }
            finally
            {
                lock (_gate)
                {
                    _seen.Restore(before);
                }
            }
        }

        return runs;
    }

    /// <summary>
    /// Every combination of words that a walker may have read, which reads one word after the other while the driver
    /// stores: each word with each value that was visible since the last <see cref="Settle()"/>.
    /// </summary>
    /// <param name="address">Byte address of the entry, a multiple of 8.</param>
    /// <param name="words">Its 64-bit words, 1 to 8.</param>
    /// <param name="probe">Gets each combination.</param>
    /// <returns>How many there were.</returns>
    /// <exception cref="InvalidOperationException">There are more than 1024.</exception>
    public int ForEachTornRead(ulong address, int words, WordsSeen probe)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(words, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(words, 8);
        ArgumentNullException.ThrowIfNull(probe);
        var choices = new ulong[words][];
        long total = 1;
        lock (_gate)
        {
            for (int i = 0; i < words; i++)
            {
                choices[i] = _seen.Window(address + ((ulong)i * 8));
                total *= choices[i].Length;
                if (total > MaxTornReads)
                {
                    throw new InvalidOperationException(Text(
                        $"the {words} words at 0x{address:x} have more than {MaxTornReads} torn reads"));
                }
            }
        }

        Span<ulong> read = stackalloc ulong[words];
        for (long number = 0; number < total; number++)
        {
            long rest = number;
            for (int i = 0; i < words; i++)
            {
                read[i] = choices[i][(int)(rest % choices[i].Length)];
                rest /= choices[i].Length;
            }

            probe(read);
        }

        return (int)total;
    }

    /// <summary>
    /// A walker changes a word that it has read, in one step, as it sets accessed and dirty flags: nothing happens
    /// where the word is another one by now, and a newer store of the CPU that is still on its way is not undone.
    /// </summary>
    /// <param name="address">Byte address, a multiple of 8.</param>
    /// <param name="expected">What the walker has read.</param>
    /// <param name="value">What it makes of it.</param>
    /// <returns>Whether the word was still <paramref name="expected"/>.</returns>
    public bool TryUpdateByDevice(ulong address, ulong expected, ulong value)
    {
        lock (_gate)
        {
            if (!_seen.TryRead(address, out ulong seen) || seen != expected)
            {
                return false;
            }

            _seen.Show(address, value);

            // A word that waits in the CPU's cache or store buffer overwrites this one when it arrives, flags and all.
            if (!_pending.IsOnItsWay(address))
            {
                _cpu.WriteQword(address, value);
            }

            return true;
        }
    }

    /// <summary>
    /// Walks that were under way have ended: a model calls it when an invalidation of configuration has completed.
    /// </summary>
    public void Settle()
    {
        lock (_gate)
        {
            _pending.Settle(0, ulong.MaxValue);
        }
    }

    /// <summary>Walks that were under way to some words have ended; other words keep what they were.</summary>
    /// <param name="address">Byte address, a multiple of 8.</param>
    /// <param name="bytes">A multiple of 8.</param>
    public void Settle(ulong address, int bytes)
    {
        lock (_gate)
        {
            _pending.Settle(address, address + (ulong)bytes);
        }
    }

    /// <summary>The first word of a range that the walker does not see as the CPU stored it; null for none.</summary>
    /// <param name="address">First byte.</param>
    /// <param name="bytes">Length in bytes; all of it is memory.</param>
    public ulong? FindUnsettled(ulong address, long bytes)
    {
        for (ulong at = address & ~7UL; at < address + (ulong)bytes; at += 8)
        {
            if (Device.ReadQword(at) != _cpu.ReadQword(at))
            {
                return at;
            }
        }

        return null;
    }

    private static ulong RoundUp(int bytes) => ((ulong)bytes + PageMask) & ~PageMask;

    private void Raise(MemoryEventKind kind, ulong address, int bytes, ulong value)
    {
        long index = Interlocked.Increment(ref _events) - 1;
        Changed?.Invoke(new MemoryEvent(index, kind, address, bytes, value));
    }
}
