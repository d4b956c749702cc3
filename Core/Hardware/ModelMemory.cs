using System.Buffers.Binary;
using System.Globalization;
using PasidFramework.Results;

namespace PasidFramework.Hardware;

/// <summary>
/// Physical memory with two sides: what the CPU stored, and what a walker sees of it. A walker that does not snoop sees
/// flushed lines only; with <see cref="StoreOrder.Weak"/> it is certain to see them only after a barrier. A fresh page
/// shows poison to the walker until its zeroes have arrived.
/// </summary>
/// <remarks>
/// <para>Addresses are byte addresses. A flush works on whole cache lines of 64 bytes and captures what they hold at that
/// moment.</para>
/// <para>Safe for concurrent use by a driver and a model. <see cref="ForEachVisible"/> and <see cref="ForEachTornRead"/> are
/// for one thread at a time.</para>
/// </remarks>
public sealed class ModelMemory : IPhysicalMemory
{
    /// <summary>
    /// What a walker reads of a fresh page before its zeroes arrive: valid bits and reserved bits of all formats are set
    /// in it.
    /// </summary>
    public const ulong Poison = 0xDEAD_BEEF_DEAD_BEEF;

    private const int LineBytes = 64;
    private const int PageBytes = 4096;
    private const int PageShift = 12;
    private const int PageQwords = PageBytes / 8;
    private const int MaxTornWords = 10;

    private readonly Lock _gate = new();
    private readonly SystemMemory _cpu;
    private readonly Dictionary<ulong, ulong[]> _seen = [];
    private readonly HashSet<ulong> _freed = [];
    private readonly List<Pending> _pending = [];
    private readonly HashSet<ulong> _zeroLines = [];
    private readonly List<ulong> _flushedZeroLines = [];
    private readonly HashSet<ulong> _dirty = [];
    private readonly Dictionary<ulong, List<ulong>> _window = [];
    private readonly List<StrayRead> _strays = [];
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
        Device = new DeviceView(this);
    }

    /// <summary>Told of everything that the driver does, after it was done and outside every lock.</summary>
    public event Action<MemoryEvent>? Changed;

    /// <summary>Whether the walker snoops the CPU's caches.</summary>
    public bool IsCoherent { get; }

    /// <summary>When stores are seen.</summary>
    public StoreOrder Order { get; }

    /// <summary>What a walker sees and a device writes.</summary>
    public IDeviceMemory Device { get; }

    /// <summary>Bytes in live allocations.</summary>
    public long AllocatedBytes => _cpu.AllocatedBytes;

    /// <summary>Events so far.</summary>
    public long EventCount => Interlocked.Read(ref _events);

    /// <summary>Reads of the walker that met no live page, oldest first; the first 256 are kept.</summary>
    public IReadOnlyList<StrayRead> StrayReads
    {
        get
        {
            lock (_gate)
            {
                return [.. _strays];
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
                return _pending.Count + (_flushedZeroLines.Count > 0 ? 1 : 0);
            }
        }
    }

    /// <inheritdoc/>
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

            for (ulong page = taken.Value; page < taken.Value + RoundUp(bytes); page += PageBytes)
            {
                var seen = new ulong[PageQwords];
                if (Order == StoreOrder.Weak || !IsCoherent)
                {
                    Array.Fill(seen, Poison);
                    for (int line = 0; line < PageBytes; line += LineBytes)
                    {
                        _zeroLines.Add(page + (ulong)line);
                    }
                }

                _seen[page >> PageShift] = seen;
                _freed.Remove(page >> PageShift);
            }

            if (IsCoherent && Order == StoreOrder.Weak)
            {
                _flushedZeroLines.AddRange(_zeroLines);
                _zeroLines.Clear();
            }
        }

        Tell(MemoryEventKind.Allocate, taken.Value, bytes, 0);
        return taken;
    }

    /// <inheritdoc/>
    public void FreePages(ulong address, int bytes)
    {
        lock (_gate)
        {
            _cpu.FreePages(address, bytes);
            ulong end = address + RoundUp(bytes);
            for (ulong page = address; page < end; page += PageBytes)
            {
                _seen.Remove(page >> PageShift);
                _freed.Add(page >> PageShift);
            }

            bool Gone(ulong at) => at >= address && at < end;
            _pending.RemoveAll(store => Gone(store.Address));
            _flushedZeroLines.RemoveAll(Gone);
            _zeroLines.RemoveWhere(Gone);
            _dirty.RemoveWhere(Gone);
            foreach (ulong word in _window.Keys.Where(Gone).ToArray())
            {
                _window.Remove(word);
            }
        }

        Tell(MemoryEventKind.Free, address, bytes, 0);
    }

    /// <inheritdoc/>
    public ulong ReadQword(ulong address) => _cpu.ReadQword(address);

    /// <inheritdoc/>
    public uint ReadDword(ulong address) => _cpu.ReadDword(address);

    /// <inheritdoc/>
    public void Read(ulong address, Span<byte> destination) => _cpu.Read(address, destination);

    /// <inheritdoc/>
    public bool IsBacked(ulong address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_gate)
        {
            return IsLive(address, bytes);
        }
    }

    /// <inheritdoc/>
    public void WriteQword(ulong address, ulong value)
    {
        lock (_gate)
        {
            RequireLive(address, 8);
            _cpu.WriteQword(address, value);
            Stored(address, value);
        }

        Tell(MemoryEventKind.Store, address, 8, value);
    }

    /// <inheritdoc/>
    public void WriteDword(ulong address, uint value)
    {
        ulong whole;
        lock (_gate)
        {
            RequireLive(address, 4);
            _cpu.WriteDword(address, value);
            whole = _cpu.ReadQword(address & ~7UL);
            Stored(address & ~7UL, whole);
        }

        Tell(MemoryEventKind.Store, address & ~7UL, 8, whole);
    }

    /// <inheritdoc/>
    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            ulong word = address & ~7UL;
            int count = Math.Min(8 - (int)(address & 7), source.Length);
            ulong whole;
            lock (_gate)
            {
                RequireLive(address, count);
                _cpu.Write(address, source[..count]);
                whole = _cpu.ReadQword(word);
                Stored(word, whole);
            }

            Tell(MemoryEventKind.Store, word, 8, whole);
            source = source[count..];
            address += (uint)count;
        }
    }

    /// <inheritdoc/>
    public void Flush(ulong address, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_gate)
        {
            ulong end = address + (ulong)bytes;
            for (ulong line = address & ~(ulong)(LineBytes - 1); line < end; line += LineBytes)
            {
                WriteBack(line);
            }
        }

        Tell(MemoryEventKind.Flush, address, bytes, 0);
    }

    /// <inheritdoc/>
    public void StoreBarrier()
    {
        lock (_gate)
        {
            foreach (ulong line in _flushedZeroLines)
            {
                ShowZeroes(line);
            }

            _flushedZeroLines.Clear();
            foreach (Pending store in _pending)
            {
                Show(store.Address, store.Value);
            }

            _pending.Clear();
        }

        Tell(MemoryEventKind.Barrier, 0, 0, 0);
    }

    /// <summary>
    /// Runs a probe once for every set of pending stores that a walker may see now: none, all, every prefix and suffix,
    /// each alone and all but each; every subset where there are at most five. Zeroes of fresh pages count as one.
    /// </summary>
    /// <param name="probe">Uses <see cref="Device"/>, directly or through a model. Flags that a walker sets meanwhile
    /// (<see cref="TryUpdateByDevice"/>) are lost; it must not store otherwise.</param>
    /// <returns>How often it ran.</returns>
    public int ForEachVisible(Action probe)
    {
        ArgumentNullException.ThrowIfNull(probe);
        Pending[] stores;
        ulong[] zeroes;
        lock (_gate)
        {
            stores = [.. _pending];
            zeroes = [.. _flushedZeroLines];
        }

        int count = stores.Length + (zeroes.Length > 0 ? 1 : 0);
        int runs = 0;
        foreach (bool[] visible in Subsets(count))
        {
            var before = new Dictionary<ulong, ulong>();
            lock (_gate)
            {
                for (int i = 0; i < count; i++)
                {
                    if (!visible[i])
                    {
                        continue;
                    }

                    // The zeroes come first, because the page was fresh before anything was stored to it.
                    if (i == 0 && zeroes.Length > 0)
                    {
                        foreach (ulong line in zeroes)
                        {
                            for (int offset = 0; offset < LineBytes; offset += 8)
                            {
                                ShowFor(before, line + (ulong)offset, 0);
                            }
                        }
                    }
                    else
                    {
                        Pending store = stores[i - (count - stores.Length)];
                        ShowFor(before, store.Address, store.Value);
                    }
                }
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
                    foreach ((ulong address, ulong value) in before)
                    {
                        if (_seen.TryGetValue(address >> PageShift, out ulong[]? page))
                        {
                            page[Index(address)] = value;
                        }
                    }
                }
            }
        }

        return runs;
    }

    /// <summary>
    /// Every mixture of words that a walker may have read, which reads one word after the other while the driver stores:
    /// each word with each value that was visible since the last <see cref="Settle()"/>.
    /// </summary>
    /// <param name="address">Byte address of the entry, a multiple of 8.</param>
    /// <param name="words">Its 64-bit words, 1 to 8.</param>
    /// <param name="probe">Gets each mixture.</param>
    /// <returns>How many there were.</returns>
    /// <exception cref="InvalidOperationException">The words had more than 1024 mixtures.</exception>
    public int ForEachTornRead(ulong address, int words, WordsSeen probe)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(words, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(words, 8);
        ArgumentNullException.ThrowIfNull(probe);
        var choices = new List<ulong>[words];
        long total = 1;
        lock (_gate)
        {
            for (int i = 0; i < words; i++)
            {
                ulong at = address + ((ulong)i * 8);
                choices[i] = _window.TryGetValue(at, out List<ulong>? values) ? [.. values] : [SeenAt(at)];
                total *= choices[i].Count;
                if (total > 1 << MaxTornWords)
                {
                    throw new InvalidOperationException(Text(
                        $"the {words} words at 0x{address:x} have more than {1 << MaxTornWords} mixtures"));
                }
            }
        }

        Span<ulong> mix = stackalloc ulong[words];
        for (long number = 0; number < total; number++)
        {
            long rest = number;
            for (int i = 0; i < words; i++)
            {
                mix[i] = choices[i][(int)(rest % choices[i].Count)];
                rest /= choices[i].Count;
            }

            probe(mix);
        }

        return (int)total;
    }

    /// <summary>
    /// A walker changes a word that it has read, in one step, as it sets accessed and dirty flags: nothing happens where
    /// the word is another one by now, and a newer store of the CPU that is still on its way is not undone.
    /// </summary>
    /// <param name="address">Byte address, a multiple of 8.</param>
    /// <param name="expected">What the walker has read.</param>
    /// <param name="value">What it makes of it.</param>
    /// <returns>Whether the word was still <paramref name="expected"/>.</returns>
    public bool TryUpdateByDevice(ulong address, ulong expected, ulong value)
    {
        lock (_gate)
        {
            if (!_seen.TryGetValue(address >> PageShift, out ulong[]? page) || page[Index(address)] != expected)
            {
                return false;
            }

            Show(address, value);

            // A word that waits in the CPU's cache or store buffer overwrites this one when it arrives, flags and all.
            if (!_dirty.Contains(address) && !_pending.Exists(store => store.Address == address))
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
            _window.Clear();
            foreach (Pending store in _pending)
            {
                Remember(store.Address, store.Value);
            }
        }
    }

    /// <summary>Walks that were under way to some words have ended; other words keep what they were.</summary>
    /// <param name="address">Byte address, a multiple of 8.</param>
    /// <param name="bytes">A multiple of 8.</param>
    public void Settle(ulong address, int bytes)
    {
        lock (_gate)
        {
            for (ulong at = address; at < address + (ulong)bytes; at += 8)
            {
                _window.Remove(at);
            }

            foreach (Pending store in _pending)
            {
                if (store.Address >= address && store.Address < address + (ulong)bytes)
                {
                    Remember(store.Address, store.Value);
                }
            }
        }
    }

    private static ulong RoundUp(int bytes) => ((ulong)bytes + PageBytes - 1) & ~(ulong)(PageBytes - 1);

    private static int Index(ulong address) => (int)((address >> 3) & (PageQwords - 1));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static IEnumerable<bool[]> Subsets(int count)
    {
        if (count <= 5)
        {
            for (int bits = 0; bits < 1 << count; bits++)
            {
                yield return [.. Enumerable.Range(0, count).Select(i => (bits >> i & 1) != 0)];
            }

            yield break;
        }

        for (int length = 0; length <= count; length++)
        {
            yield return [.. Enumerable.Range(0, count).Select(i => i < length)];
        }

        for (int start = 1; start < count; start++)
        {
            yield return [.. Enumerable.Range(0, count).Select(i => i >= start)];
        }

        for (int one = 0; one < count; one++)
        {
            yield return [.. Enumerable.Range(0, count).Select(i => i == one)];
            yield return [.. Enumerable.Range(0, count).Select(i => i != one)];
        }
    }

    private void Tell(MemoryEventKind kind, ulong address, int bytes, ulong value)
    {
        long index = Interlocked.Increment(ref _events) - 1;
        Changed?.Invoke(new MemoryEvent(index, kind, address, bytes, value));
    }

    private bool IsLive(ulong address, long bytes)
    {
        ulong end = address + (ulong)bytes;
        if (end < address)
        {
            return false;
        }

        for (ulong page = address >> PageShift; page << PageShift < end; page++)
        {
            if (!_seen.ContainsKey(page))
            {
                return false;
            }
        }

        return true;
    }

    private void RequireLive(ulong address, long bytes)
    {
        if (!IsLive(address, bytes))
        {
            throw new ArgumentException(Text($"No memory at 0x{address:x}: no live page is there."), nameof(address));
        }
    }

    private void Stored(ulong address, ulong value)
    {
        if (!IsCoherent)
        {
            _dirty.Add(address);
        }
        else if (Order == StoreOrder.Weak)
        {
            Remember(address, value);
            _pending.Add(new Pending(address, value));
        }
        else
        {
            Show(address, value);
        }
    }

    private void WriteBack(ulong line)
    {
        if (_zeroLines.Remove(line))
        {
            if (Order == StoreOrder.Weak)
            {
                _flushedZeroLines.Add(line);
            }
            else
            {
                ShowZeroes(line);
            }
        }

        for (int offset = 0; offset < LineBytes; offset += 8)
        {
            ulong at = line + (ulong)offset;
            if (!_dirty.Remove(at))
            {
                continue;
            }

            ulong value = _cpu.ReadQword(at);
            if (Order == StoreOrder.Weak)
            {
                Remember(at, value);
                _pending.Add(new Pending(at, value));
            }
            else
            {
                Show(at, value);
            }
        }
    }

    private void ShowZeroes(ulong line)
    {
        if (_seen.TryGetValue(line >> PageShift, out ulong[]? page))
        {
            page.AsSpan(Index(line), LineBytes / 8).Clear();
        }
    }

    private void Show(ulong address, ulong value)
    {
        if (_seen.TryGetValue(address >> PageShift, out ulong[]? page))
        {
            Remember(address, value);
            page[Index(address)] = value;
        }
    }

    private void ShowFor(Dictionary<ulong, ulong> before, ulong address, ulong value)
    {
        if (_seen.TryGetValue(address >> PageShift, out ulong[]? page))
        {
            before.TryAdd(address, page[Index(address)]);
            page[Index(address)] = value;
        }
    }

    // A word's window begins with what it was before the first store.
    private void Remember(ulong address, ulong value)
    {
        if (!_window.TryGetValue(address, out List<ulong>? values))
        {
            _window[address] = values = [SeenAt(address)];
        }

        if (!values.Contains(value))
        {
            values.Add(value);
        }
    }

    private ulong SeenAt(ulong address) =>
        _seen.TryGetValue(address >> PageShift, out ulong[]? page) ? page[Index(address)] : 0;

    private void Stray(ulong address)
    {
        if (_strays.Count < 256)
        {
            _strays.Add(new StrayRead(address, _freed.Contains(address >> PageShift)));
        }
    }

    private readonly record struct Pending(ulong Address, ulong Value);

    private sealed class DeviceView(ModelMemory memory) : IDeviceMemory
    {
        public ulong ReadQword(ulong address)
        {
            if ((address & 7) != 0)
            {
                throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of 8."), nameof(address));
            }

            lock (memory._gate)
            {
                if (memory._seen.TryGetValue(address >> PageShift, out ulong[]? page))
                {
                    return page[Index(address)];
                }

                memory.Stray(address);
                return 0;
            }
        }

        public uint ReadDword(ulong address)
        {
            if ((address & 3) != 0)
            {
                throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of 4."), nameof(address));
            }

            return (uint)(ReadQword(address & ~7UL) >> (int)((address & 4) * 8));
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

        public bool IsBacked(ulong address, long bytes)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(bytes);
            lock (memory._gate)
            {
                bool live = memory.IsLive(address, bytes);
                if (!live)
                {
                    memory.Stray(address);
                }

                return live;
            }
        }

        public void WriteQword(ulong address, ulong value)
        {
            lock (memory._gate)
            {
                memory.RequireLive(address, 8);
                memory._cpu.WriteQword(address, value);
                Arrived(address, value);
            }
        }

        public void WriteDword(ulong address, uint value)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
            if ((address & 3) != 0)
            {
                throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of 4."), nameof(address));
            }

            Write(address, bytes);
        }

        public void Write(ulong address, ReadOnlySpan<byte> source)
        {
            while (!source.IsEmpty)
            {
                int count = Math.Min(8 - (int)(address & 7), source.Length);
                lock (memory._gate)
                {
                    memory.RequireLive(address, count);
                    memory._cpu.Write(address, source[..count]);
                    Arrived(address & ~7UL, memory._cpu.ReadQword(address & ~7UL));
                }

                source = source[count..];
                address += (uint)count;
            }
        }

        // What a device writes (status words, records) is coherent for both sides: a store of the CPU to such a word that
        // is still on its way would be a race of the driver's own making. Page tables are changed by TryUpdateByDevice.
        private void Arrived(ulong address, ulong value)
        {
            memory._dirty.Remove(address);
            memory._pending.RemoveAll(store => store.Address == address);
            memory.Show(address, value);
        }
    }
}
