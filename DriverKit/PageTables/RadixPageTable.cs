// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.PageTables;

/// <summary>
/// One page table. Tables that a mapping lacks are filled and flushed before one store links them (D3): a walker beside
/// the CPU sees the old tree or the new one.
/// </summary>
/// <remarks>Tables stay until <see cref="Dispose"/>, empty ones too: a walker may hold pointers to them.</remarks>
internal sealed class RadixPageTable(RadixFormat format, IPhysicalMemory memory, ulong root) : IPageTable
{
    private readonly List<ulong> _tables = [root];

    // The lowest table that was met last, and the address bits that lead to it: neighbours are mapped one by one.
    private ulong _lastPrefix = ulong.MaxValue;
    private ulong _lastTable;
    public ulong Root { get; } = root;
    public OpResult Map(ulong address, ulong target, bool writable) => Map(address, target, writable, 1);

    public OpResult Map(ulong address, ulong target, bool writable, ulong bytes)
    {
        int level = LevelOf(bytes);
        return level == 0 ? WrongSize(bytes) : Map(address, target, writable, level);
    }

    public OpResult Unmap(ulong address) => Unmap(address, 1);

    public OpResult Unmap(ulong address, ulong bytes)
    {
        int level = LevelOf(bytes);
        return level == 0 ? WrongSize(bytes) : Unmap(address, level);
    }

    /// <summary>Frees every table; nothing may walk them any more.</summary>
    public void Dispose() => Release(0);

    private OpResult Map(ulong address, ulong target, bool writable, int level)
    {
        if (!Fits(address, level, format.AddressBits))
        {
            return Misfit("address", address, level, format.AddressBits);
        }

        if (!Fits(target, level, format.OutputBits))
        {
            return Misfit("target", target, level, format.OutputBits);
        }

        Finder found = Find(address, level);
        if (found.IsOfOtherSize(level))
        {
            return OtherSize(address, found, level);
        }

        ulong leaf = format.MakeLeaf(target, level, writable);
        return found.Level == level ? Store(found.Address, leaf) : Link(found, level, address, leaf);
    }

    private OpResult Unmap(ulong address, int level)
    {
        if (!Fits(address, level, format.AddressBits))
        {
            return Misfit("address", address, level, format.AddressBits);
        }

        Finder found = Find(address, level);
        return found.IsOfOtherSize(level) ? OtherSize(address, found, level)
            : found.Entry == 0 || found.Level != level ? OpResult.Ok
            : Store(found.Address, 0);
    }

    private int LevelOf(ulong bytes)
    {
        for (int level = 1; level <= format.Levels; level++)
        {
            if (bytes == format.LowBits(level) + 1 && format.HasLeaves(level))
            {
                return level;
            }
        }

        return 0;
    }

    private bool Fits(ulong value, int level, int bits) => (value & format.LowBits(level)) == 0 && value >> bits == 0;

    private OpResult WrongSize(ulong bytes) => OpResult.Refuse(Errno.EINVAL,
        $"{format.Name} has no pages of {bytes} bytes, only of {string.Join(", ", format.PageSizes)}");

    private OpResult Misfit(string what, ulong value, int level, int bits) =>
        OpResult.Refuse(Errno.EINVAL,
            $"{what} 0x{value:x} is not a multiple of {format.LowBits(level) + 1} below 2^{bits}");

    private static OpResult OtherSize(ulong address, in Finder found, int level) =>
        OpResult.Refuse(Errno.EEXIST,
            $"0x{address:x}: "
                + $"{(found.Level > level ? "a larger page covers it" : "there is a table for smaller ones")}");

    // The entry where the path of an address ends: that of the level, or an upper one that leads to no table.
    private Finder Find(ulong address, int level)
    {
        ObjectDisposedException.ThrowIf(_tables.Count == 0, this);
        ulong offset = format.Index(address, 1) * RadixFormat.EntryBytes;
        ulong prefix = address >> format.Shift(2);
        if (level == 1 && prefix == _lastPrefix)
        {
            return new Finder(memory, _lastTable + offset);
        }

        var finder = new Finder(memory, level);
        PageWalker.Walk(format, Root, format.Levels, address, PageRights.All, ref finder);
        if (finder.Level == 1)
        {
            (_lastPrefix, _lastTable) = (prefix, finder.Address - offset);
        }

        return finder;
    }

    // New tables, from the lowest up: filled and flushed first, then linked by one store.
    private OpResult Link(in Finder found, int level, ulong address, ulong leaf)
    {
        int before = _tables.Count;
        ulong entry = leaf;
        for (int below = level; below < found.Level; below++)
        {
            OpResult<ulong> table = memory.AllocatePages(format.TableBytes, Math.Max(4096, format.TableBytes));
            if (!table.IsOk)
            {
                Release(before);
                return table.Outcome;
            }

            _tables.Add(table.Value);
            memory.WriteQword(table.Value + (format.Index(address, below) * RadixFormat.EntryBytes), entry);
            memory.Flush(table.Value, format.TableBytes);
            entry = format.MakeTable(table.Value);
        }

        memory.StoreBarrier();
        return Store(found.Address, entry);
    }

    private OpResult Store(ulong at, ulong entry)
    {
        memory.WriteQword(at, entry);
        memory.Flush(at, RadixFormat.EntryBytes);
        memory.StoreBarrier();
        return OpResult.Ok;
    }

    private void Release(int from)
    {
        for (int i = from; i < _tables.Count; i++)
        {
            memory.FreePages(_tables[i], format.TableBytes);
        }

        _tables.RemoveRange(from, _tables.Count - from);
    }

    private struct Finder(IPhysicalMemory memory, int lowest) : IPageWalk
    {
        private EntryKind _kind;

        // An entry of level 1 that needs no walk.
        public Finder(IPhysicalMemory memory, ulong address)
            : this(memory, 1) => (Address, Entry, Level) = (address, memory.ReadQword(address), 1);

        public ulong Address { get; private set; }
        public ulong Entry { get; private set; }
        public int Level { get; private set; }

        public bool Read(in WalkStep step, out ulong entry)
        {
            entry = memory.ReadQword(step.Address);
            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            (Address, Entry, Level, _kind) = (step.Address, entry, step.Level, kind);
            return step.Level > lowest ? WalkNext.Descend : WalkNext.End;
        }

        public readonly bool IsOfOtherSize(int level) =>
            (_kind == EntryKind.Leaf && Level > level) || (_kind == EntryKind.Table && Level == level);
    }
}
