// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;
using PasidFramework.Drivers.Reference.PageTables;

namespace PasidFramework.Drivers.Reference.Emulation.Functional;

/// <summary>What kind of entry a walk reads.</summary>
internal enum Stage
{
    Device,
    Directory,
    Entry,
    Page,
}

/// <summary>Where a walk's entry is.</summary>
/// <param name="Table">The PASID table that it belongs to; 0 for device and page table entries.</param>
/// <param name="Index">Requester, directory index or PASID; level of a page table entry.</param>
internal readonly record struct WalkPoint(Stage Stage, ulong Table, uint Index, ulong Address);

/// <summary>Where a walk's entries come from: memory, a cache, or memory with notes of every step.</summary>
internal interface IEntrySource
{
    /// <summary>Reads one entry, word by word.</summary>
    /// <returns>False where no memory is.</returns>
    bool Read(in WalkPoint point, Span<ulong> words);
}

/// <summary>Where the configuration leads.</summary>
/// <param name="Fault">None; or why the walk ended.</param>
/// <param name="Root">The process's top page table.</param>
/// <param name="Asid">Tag of its translations.</param>
/// <param name="HasTlb">Whether the device may keep translations.</param>
internal readonly record struct Configured(FaultCode Fault, ulong Root, uint Asid, bool HasTlb);

/// <summary>Where a page table leads.</summary>
/// <param name="Fault">None; or why the walk ended.</param>
/// <param name="Target">Physical address of the page.</param>
/// <param name="Entry">Byte address of the entry that says so.</param>
internal readonly record struct Page(FaultCode Fault, ulong Target, bool IsWritable, ulong Entry);

/// <summary>The walk. Reference architecture, section 5.</summary>
internal static class Walker
{
    /// <summary>Device entry, directory, PASID entry.</summary>
    /// <param name="pasidBits">The hardware's PASID width.</param>
    public static Configured Configure(ulong deviceTable, int pasidBits, in DmaAccess access, IEntrySource source)
    {
        uint requester = access.Requester.Value;
        if (requester >> (int)deviceTable.Get(DeviceTable.LOG2) != 0)
        {
            return Failed(FaultCode.RequesterRange);
        }

        Span<ulong> words = stackalloc ulong[PasidEntry.Words];
        Span<ulong> device = words[..1];
        var point = new WalkPoint(
            Stage.Device, 0, requester,
            deviceTable.GetAddress(DeviceTable.BASE) + ((ulong)requester * DeviceEntry.SizeBytes));
        FaultCode fault = Read(source, point, device, DeviceEntry.Layout, FaultCode.DeviceNotValid);
        int width = (int)device[0].Get(DeviceEntry.WIDTH);
        if (fault != FaultCode.None || width > pasidBits)
        {
            return Failed(fault != FaultCode.None ? fault : FaultCode.DeviceIllFormed);
        }

        if (access.Pasid is not { } pasid)
        {
            return Failed(FaultCode.NoPasid);
        }

        if (pasid.Value >> width != 0)
        {
            return Failed(FaultCode.PasidRange);
        }

        bool hasTlb = device[0].Has(DeviceEntry.ATS);
        ulong table = device[0].GetAddress(DeviceEntry.TABLE);
        uint index = pasid.Value >> PasidEntry.IndexBits;
        Span<ulong> directory = words[..1];
        point = new WalkPoint(Stage.Directory, table, index, table + ((ulong)index * DirectoryEntry.SizeBytes));
        fault = Read(source, point, directory, DirectoryEntry.Layout, FaultCode.DirectoryNotValid);
        if (fault != FaultCode.None)
        {
            return Failed(fault);
        }

        ulong leaf = directory[0].GetAddress(DirectoryEntry.LEAF);
        uint inLeaf = pasid.Value & ((1u << PasidEntry.IndexBits) - 1);
        point = new WalkPoint(Stage.Entry, table, pasid.Value, leaf + (inLeaf * PasidEntry.SizeBytes));
        fault = Read(source, point, words, PasidEntry.Layout, FaultCode.EntryNotValid);
        return fault != FaultCode.None ? Failed(fault)
            : words[0].Has(PasidEntry.Q) ? Failed(FaultCode.Quiet)
            : new Configured(
                FaultCode.None, words[0].GetAddress(PasidEntry.ROOT), (uint)words[1].Get(PasidEntry.ASID), hasTlb);
    }

    /// <summary>The page tables.</summary>
    public static Page Translate(ulong root, ulong address, IEntrySource source)
    {
        RadixFormat format = ReferencePageTableFormat.Instance;
        if (address >> format.AddressBits != 0)
        {
            return new Page(FaultCode.AddressRange, 0, false, 0);
        }

        var walk = new PageWalk(source);
        PageWalker.Walk(format, root, format.Levels, address, PageRights.All, ref walk);
        return walk.Result;
    }

    private static Configured Failed(FaultCode fault) => new(fault, 0, 0, false);

    // Bit 0 says "valid" in every structure; the codes of "ill-formed" follow those of "not valid".
    private static FaultCode Read(
        IEntrySource source, in WalkPoint point, Span<ulong> words, Layout layout, FaultCode notValid) =>
        !source.Read(point, words) ? notValid + 1
            : (words[0] & 1) == 0 ? notValid
            : layout.Check(words).Count > 0 ? notValid + 1
            : FaultCode.None;

    private struct PageWalk(IEntrySource source) : IPageWalk
    {
        private FaultCode _fault;
        public Page Result { get; private set; }

        public bool Read(in WalkStep step, out ulong entry)
        {
            entry = 0;
            _fault = Walker.Read(
                source, new WalkPoint(Stage.Page, 0, (uint)step.Level, step.Address), new Span<ulong>(ref entry),
                PageTableEntry.Layout, FaultCode.PageNotPresent);
            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            Result = new Page(
                _fault, entry.GetAddress(PageTableEntry.TARGET), (rights & PageRights.Write) != 0, step.Address);
            return _fault == FaultCode.None ? WalkNext.Descend : WalkNext.End;
        }
    }
}
