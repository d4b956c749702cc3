// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>Where in a walk an entry is read.</summary>
internal enum WalkStage
{
    /// <summary>One half of a root entry.</summary>
    Root,

    Context,

    Directory,

    Entry,

    FirstStage,

    SecondStage,
}

/// <summary>One entry that a walk reads.</summary>
/// <param name="Requester">Whose walk it is.</param>
/// <param name="Pasid">The PASID, from the directory on.</param>
/// <param name="DomainId">Tag of the translation, in page tables.</param>
/// <param name="Level">Level of a page table, 1 the lowest.</param>
/// <param name="Input">The address that the page table translates.</param>
/// <param name="HasPasid">Whether the request carries the PASID; false in page tables.</param>
internal readonly record struct WalkPoint(
    WalkStage Stage,
    ulong Address,
    RequesterId Requester,
    uint Pasid,
    uint DomainId,
    int Level,
    ulong Input,
    bool HasPasid = false);

/// <summary>Gives a walk its entries: from memory or from caches.</summary>
internal interface IWalkSource
{
    /// <summary>Reads an entry.</summary>
    /// <returns>False where no memory is.</returns>
    bool Read(in WalkPoint point, Span<ulong> words);

    /// <summary>An entry that was read has been checked.</summary>
    void Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault);

    /// <summary>A page table entry gets its accessed or dirty flag.</summary>
    /// <param name="expected">What was read.</param>
    /// <param name="entry">The same with the flags.</param>
    /// <returns>False where the entry has changed since it was read: it must be read again.</returns>
    bool Update(in WalkPoint point, ulong expected, ulong entry);
}

/// <summary>Where the walk of root, context and PASID structures ended.</summary>
/// <param name="Fault">The fault reason, 0 for none.</param>
/// <param name="IsQuiet">Whether an FPD bit on the way suppresses the record.</param>
/// <param name="FirstStageLevels">4 or 5.</param>
/// <param name="SecondStageLevels">3 to 5.</param>
/// <param name="DomainId">Tag of its translations.</param>
/// <param name="Pasid">The PASID that was looked up.</param>
internal readonly record struct WalkResult(
    int Fault,
    bool IsQuiet,
    ulong Type,
    ulong FirstStageTable,
    ulong SecondStageTable,
    int FirstStageLevels,
    int SecondStageLevels,
    bool SecondStageFlags,
    uint DomainId,
    uint Pasid,
    bool HasDeviceTlb)
{
    /// <summary>Whether the access passes untranslated.</summary>
    public bool IsPassThrough => Fault == 0 && Type == PasidEntry.PassThrough;

    /// <summary>The process's page table.</summary>
    public ulong PageTableRoot => Type == PasidEntry.SecondStage ? SecondStageTable : FirstStageTable;
}

/// <summary>A page that a walk found.</summary>
/// <param name="Fault">The fault reason, 0 for none.</param>
/// <param name="Address">Physical address of the access.</param>
/// <param name="Level">Level of the leaf: 1 is 4 KiB; the smaller of both stages.</param>
/// <param name="Dirty">Whether a write needs no further update of flags.</param>
internal readonly record struct PageResult(int Fault, ulong Address, int Level, bool Writable, bool Dirty);

/// <summary>The walk of all structures. Intel VT-d, D51397-018 (rev 5.10), sections 3.4 and 9.2 to 9.8.</summary>
internal static partial class TableWalker
{
    /// <summary>Finds the configuration of one access.</summary>
    /// <param name="access">The access; its requester is a PCI one.</param>
    public static WalkResult Configure(WalkRules rules, ulong rtaddr, in DmaAccess access, IWalkSource source)
    {
        int fault = rules.CheckRootAddress(rtaddr, access.Pasid is not null);
        if (fault != 0)
        {
            return Failed(fault);
        }

        RequesterId requester = access.Requester;
        Span<ulong> one = stackalloc ulong[1];
        var at = new WalkPoint(
            WalkStage.Root,
            (rtaddr & RootTableAddress.RTA.WordMask) + ((ulong)requester.Bus * RootEntry.SizeBytes)
                + (requester.DevFn >= 0x80 ? 8u : 0u),
            requester, access.Pasid?.Value ?? 0, 0, 0, access.Address, access.Pasid is not null);
        fault = source.Read(at, one) ? rules.CheckRootHalf(one[0]) : FaultReason.RootAccess;
        source.Checked(at, one, fault);
        if (fault != 0)
        {
            return Failed(fault);
        }

        Span<ulong> context = stackalloc ulong[ContextEntry.Words];
        at = at with
        {
            Stage = WalkStage.Context,
            Address = (one[0] & RootEntry.LCTP.WordMask)
                + ((ulong)(requester.DevFn & 0x7F) * ContextEntry.SizeBytes),
        };
        fault = source.Read(at, context) ? rules.CheckContext(context) : FaultReason.ContextAccess;
        bool quiet = context.Get(ContextEntry.FPD) == 1;
        source.Checked(at, context, fault);
        uint pasid = 0;
        if (fault == 0)
        {
            fault = rules.SelectPasid(access.Pasid, context, out pasid);
        }

        if (fault != 0)
        {
            return Failed(fault, quiet);
        }

        at = at with
        {
            Stage = WalkStage.Directory,
            Pasid = pasid,
            Address = context.GetAddress(ContextEntry.PASIDDIRPTR)
                + ((ulong)(pasid >> 6) * PasidDirectoryEntry.SizeBytes),
        };
        fault = source.Read(at, one) ? rules.CheckDirectory(one[0]) : FaultReason.DirectoryAccess;
        quiet |= one[0].Get(PasidDirectoryEntry.FPD) == 1;
        source.Checked(at, one, fault);
        if (fault != 0)
        {
            return Failed(fault, quiet);
        }

        Span<ulong> words = stackalloc ulong[PasidEntry.Words];
        at = at with
        {
            Stage = WalkStage.Entry,
            Address = (one[0] & PasidDirectoryEntry.SMPTBLPTR.WordMask) + ((pasid & 63) * PasidEntry.SizeBytes),
        };
        fault = source.Read(at, words) ? rules.CheckEntry(words) : FaultReason.EntryAccess;
        quiet |= words.Get(PasidEntry.FPD) == 1;
        source.Checked(at, words, fault);
        if (fault == 0)
        {
            fault = WalkRules.CheckAddress(words, access.Address);
        }

        return new WalkResult(
            fault,
            quiet,
            words.Get(PasidEntry.PGTT),
            words.GetAddress(PasidEntry.FSPTPTR),
            words.GetAddress(PasidEntry.SSPTPTR),
            words.Get(PasidEntry.FSPM) == 1 ? 5 : 4,
            (int)words.Get(PasidEntry.AW) + 2,
            words.Get(PasidEntry.SSADE) == 1,
            (uint)words.Get(PasidEntry.DID),
            pasid,
            context.Get(ContextEntry.DTE) == 1);
    }

    private static WalkResult Failed(int fault, bool quiet = false) =>
        new(fault, quiet, 0, 0, 0, 0, 0, false, 0, 0, false);
}
