// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <content>Page tables: fault reasons and flags over the shared walk.</content>
internal static partial class TableWalker
{
    // How often an entry is read again that the CPU changes between read and update.
    private const int MaxReads = 16;

    /// <summary>Translates an address by the page tables of a configuration.</summary>
    /// <param name="found">The configuration; neither a fault nor pass-through.</param>
    public static PageResult Translate(WalkRules rules, in WalkResult found, in DmaAccess access, IWalkSource source)
    {
        if (found.Type == PasidEntry.SecondStage)
        {
            return SecondStage(rules, found, access.Requester, access.Address, access.IsWrite, source);
        }

        RadixFormat format = X86PageTables.FourLevel;
        var walk = new FirstStageWalk(rules, found, access, source);
        PageWalker.Walk(
            format, found.FirstStageTable, found.FirstStageLevels,
            access.Address & format.LowBits(found.FirstStageLevels + 1), PageRights.All, ref walk);
        return walk.Result;
    }

    private static PageResult SecondStage(
        WalkRules rules, in WalkResult found, RequesterId requester, ulong input, bool write, IWalkSource source)
    {
        RadixFormat format = VtdSecondStagePageTables.FourLevel;
        if ((input & ~format.LowBits(found.SecondStageLevels + 1)) != 0)
        {
            return new PageResult(FaultReason.BeyondWidth, 0, 0, false, false);
        }

        var walk = new SecondStageWalk(rules, found, requester, write, source);
        PageWalker.Walk(format, found.SecondStageTable, found.SecondStageLevels, input, PageRights.All, ref walk);
        return walk.Result;
    }

    private static PageResult Fault(int fault, int level) => new(fault, 0, level, false, false);

    // Sets flags in an entry; false where the entry in memory is another one by now.
    private static bool Mark(ref ulong entry, ulong flags, in WalkPoint at, IWalkSource source)
    {
        ulong expected = entry;
        entry |= flags;
        return entry == expected || source.Update(at, expected, entry);
    }

    private ref struct FirstStageWalk(
        WalkRules rules, in WalkResult found, in DmaAccess access, IWalkSource source) : IPageWalk
    {
        private readonly ref readonly WalkResult _found = ref found;
        private readonly ref readonly DmaAccess _access = ref access;
        private WalkPoint _at;
        private int _fault;
        private int _reads;
        public PageResult Result { get; private set; }
        private readonly bool IsNested => _found.Type == PasidEntry.Nested;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Read(in WalkStep step, out ulong entry)
        {
            entry = 0;
            ulong address = step.Address;
            if (IsNested)
            {
                // Flags are written to first-stage tables, so the second stage must permit it.
                PageResult host = SecondStage(rules, _found, _access.Requester, address, true, source);
                if (host.Fault != 0)
                {
                    Result = host;
                    return false;
                }

                address = host.Address;
            }

            _at = new WalkPoint(
                WalkStage.FirstStage, address, _access.Requester, _found.Pasid, _found.DomainId, step.Level,
                _access.Address);
            _fault = source.Read(_at, new Span<ulong>(ref entry)) ? rules.CheckFirstStage(entry, step.Level)
                : step.Level == _found.FirstStageLevels ? FaultReason.FirstStageTableAccess
                : FaultReason.FirstStageAccess;
            return true;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            int level = step.Level;
            bool isLeaf = kind == EntryKind.Leaf;
            bool isWritable = (rights & PageRights.Write) != 0;
            if (_fault == 0 && isLeaf)
            {
                _fault = (rights & PageRights.User) == 0 ? FaultReason.UserNotAllowed
                    : _access.IsWrite && !isWritable ? FaultReason.NotWritable
                    : 0;
            }

            if (_fault != 0)
            {
                source.Checked(_at, new ReadOnlySpan<ulong>(ref entry), _fault);
                Result = Fault(_fault, level);
                return WalkNext.End;
            }

            ulong flags = X86Entry.A.WordMask | (isLeaf && _access.IsWrite ? X86Entry.D.WordMask : 0);
            if (!Mark(ref entry, flags, _at, source) && ++_reads < MaxReads)
            {
                return WalkNext.Again;
            }

            source.Checked(_at, new ReadOnlySpan<ulong>(ref entry), 0);
            if (!isLeaf)
            {
                return WalkNext.Descend;
            }

            bool dirty = entry.Get(X86Entry.D) == 1;
            ulong output = X86PageTables.FourLevel.PageOf(entry, level) | (_access.Address & WalkRules.LowBits(level));
            Result = new PageResult(0, output, level, isWritable, dirty);
            if (IsNested)
            {
                PageResult page = SecondStage(rules, _found, _access.Requester, output, _access.IsWrite, source);
                Result = page with
                {
                    Level = Math.Min(level, page.Level),
                    Writable = isWritable && page.Writable,
                    Dirty = dirty && page.Dirty,
                };
            }

            return WalkNext.End;
        }
    }

    private ref struct SecondStageWalk(
        WalkRules rules, in WalkResult found, RequesterId requester, bool write, IWalkSource source) : IPageWalk
    {
        private readonly ref readonly WalkResult _found = ref found;
        private WalkPoint _at;
        private int _fault;
        private int _reads;
        public PageResult Result { get; private set; }

        public bool Read(in WalkStep step, out ulong entry)
        {
            entry = 0;
            _at = new WalkPoint(
                WalkStage.SecondStage, step.Address, requester, _found.Pasid, _found.DomainId, step.Level, step.Input);
            _fault = source.Read(_at, new Span<ulong>(ref entry)) ? rules.CheckSecondStage(entry, step.Level)
                : step.Level == _found.SecondStageLevels ? FaultReason.SecondStageTableAccess
                : FaultReason.SecondStageAccess;
            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            int level = step.Level;
            bool isLeaf = kind == EntryKind.Leaf;
            if (_fault == 0 && isLeaf && (rights & (write ? PageRights.Write : PageRights.Read)) == 0)
            {
                _fault = FaultReason.SecondStagePermission;
            }

            if (_fault != 0)
            {
                source.Checked(_at, new ReadOnlySpan<ulong>(ref entry), _fault);
                Result = Fault(_fault, level);
                return WalkNext.End;
            }

            ulong flags = !_found.SecondStageFlags ? 0
                : VtdSecondStageEntry.A.WordMask | (isLeaf && write ? VtdSecondStageEntry.D.WordMask : 0);
            if (!Mark(ref entry, flags, _at, source) && ++_reads < MaxReads)
            {
                return WalkNext.Again;
            }

            source.Checked(_at, new ReadOnlySpan<ulong>(ref entry), 0);
            if (!isLeaf)
            {
                return WalkNext.Descend;
            }

            bool dirty = !_found.SecondStageFlags || entry.Get(VtdSecondStageEntry.D) == 1;
            ulong output = VtdSecondStagePageTables.FourLevel.PageOf(entry, level)
                | (step.Input & WalkRules.LowBits(level));
            Result = new PageResult(0, output, level, (rights & PageRights.Write) != 0, dirty);
            return WalkNext.End;
        }
    }
}
