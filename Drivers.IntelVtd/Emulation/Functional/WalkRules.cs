// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>
/// What hardware with given capabilities accepts in each structure, as fault reasons. Intel VT-d, D51397-018
/// (rev 5.10), sections 9.2 to 9.8.
/// </summary>
/// <param name="hostAddressBits">Bits of a host address; higher bits of table pointers are reserved.</param>
internal sealed partial class WalkRules(ulong cap, ulong ecap, int hostAddressBits)
{
    private static readonly ulong[] s_contextReserved = ReservedBits(ContextEntry.Layout);
    private static readonly ulong[] s_entryReserved = ReservedBits(PasidEntry.Layout);

    // Fields that are reserved without a capability.
    private static readonly (Field Capability, Field Field)[] s_contextNeeds =
    [
        (Ecap.DT, ContextEntry.DTE),
        (Ecap.PASID, ContextEntry.PASIDE),
        (Ecap.PRS, ContextEntry.PRE),
        (Ecap.HPTS, ContextEntry.HPTE),
        (Ecap.PTRS, ContextEntry.EPTR),
        (Ecap.RPS, ContextEntry.RID_PASID),
        (Ecap.RPRIVS, ContextEntry.RID_PRIV),
    ];

    private static readonly (Field Capability, Field Field)[] s_entryNeeds =
    [
        (Ecap.SSADS, PasidEntry.SSADE),
        (Ecap.SMPWCS, PasidEntry.PWSNP),
        (Ecap.SC, PasidEntry.PGSNP),
        (Ecap.MTS, PasidEntry.CD),
        (Ecap.MTS, PasidEntry.EMTE),
        (Ecap.SRS, PasidEntry.SRE),
        (Ecap.EAFS, PasidEntry.EAFE),
    ];

    /// <summary>What a table pointer may not have set.</summary>
    public ulong AboveHostAddresses { get; } = ulong.MaxValue << hostAddressBits;

    /// <summary>Whether the hardware has a capability.</summary>
    public bool Has(Field capability) => ecap.Get(capability) == 1;

    /// <summary>Reserved bits of a layout, word by word.</summary>
    public static ulong[] ReservedBits(Layout layout)
    {
        var bits = new ulong[layout.Words];
        foreach (LayoutField field in layout.Fields)
        {
            if (field.Kind == FieldKind.Reserved)
            {
                foreach (Field part in field.Parts)
                {
                    bits[part.Word] |= part.WordMask;
                }
            }
        }

        return bits;
    }

    /// <summary>The root table address register.</summary>
    public int CheckRootAddress(ulong rtaddr, bool hasPasid)
    {
        ulong mode = rtaddr.Get(RootTableAddress.TTM);
        if (mode == RootTableAddress.AbortMode)
        {
            return FaultReason.AbortMode;
        }

        if (mode == RootTableAddress.LegacyMode && hasPasid)
        {
            return FaultReason.PasidInLegacyMode;
        }

        ulong root = rtaddr & RootTableAddress.RTA.WordMask;
        ulong allowed = root | RootTableAddress.TTM.WordMask
            | (Has(Ecap.SSIRWS) ? RootTableAddress.SSIRWE.WordMask : 0);
        return mode != RootTableAddress.ScalableMode || (rtaddr & ~allowed) != 0 || (root & AboveHostAddresses) != 0
            ? FaultReason.RootTableAddress
            : 0;
    }

    /// <summary>One half of a root entry; both have the form of the lower one.</summary>
    public int CheckRootHalf(ulong half)
    {
        if (half.Get(RootEntry.LP) == 0)
        {
            return FaultReason.RootNotPresent;
        }

        ulong table = half & RootEntry.LCTP.WordMask;
        return (half & ~(table | RootEntry.LP.WordMask)) != 0 || (table & AboveHostAddresses) != 0
            ? FaultReason.RootReserved
            : 0;
    }

    /// <summary>A context entry.</summary>
    public int CheckContext(ReadOnlySpan<ulong> words)
    {
        if (words.Get(ContextEntry.P) == 0)
        {
            return FaultReason.ContextNotPresent;
        }

        ulong reserved = 0;
        for (int i = 0; i < ContextEntry.Words; i++)
        {
            reserved |= words[i] & s_contextReserved[i];
        }

        reserved |= words.GetAddress(ContextEntry.PASIDDIRPTR) & AboveHostAddresses;
        reserved |= Absent(s_contextNeeds, words);
        if (reserved != 0)
        {
            return FaultReason.ContextReserved;
        }

        bool valid = (words.Get(ContextEntry.PRE) == 0 || words.Get(ContextEntry.DTE) == 1)
            && (words.Get(ContextEntry.EPTR) == 0 || words.Get(ContextEntry.PASIDE) == 1)
            && words.Get(ContextEntry.RID_PASID) >> PasidBitsOf(words) == 0;
        return valid ? 0 : FaultReason.ContextInvalid;
    }

    /// <summary>The PASID of a request behind a valid context entry.</summary>
    public int SelectPasid(Pasid? requested, ReadOnlySpan<ulong> context, out uint pasid)
    {
        // Without ECAP.RPS the field is reserved, was found 0, and 0 is what hardware uses.
        uint ridPasid = (uint)context.Get(ContextEntry.RID_PASID);
        pasid = ridPasid;
        if (requested is not { } given)
        {
            return 0;
        }

        pasid = given.Value;
        if (!Has(Ecap.PASID) || pasid >> ((int)ecap.Get(Ecap.PSS) + 1) != 0)
        {
            return FaultReason.PasidBeyondHardware;
        }

        if (context.Get(ContextEntry.PASIDE) == 0)
        {
            return FaultReason.PasidNotAllowed;
        }

        if (pasid >> PasidBitsOf(context) != 0)
        {
            return FaultReason.PasidBeyondDirectory;
        }

        return pasid == ridPasid ? FaultReason.PasidIsRidPasid : 0;
    }

    /// <summary>A PASID directory entry.</summary>
    public int CheckDirectory(ulong entry)
    {
        if (entry.Get(PasidDirectoryEntry.P) == 0)
        {
            return FaultReason.DirectoryNotPresent;
        }

        ulong table = entry & PasidDirectoryEntry.SMPTBLPTR.WordMask;
        ulong flags = PasidDirectoryEntry.P.WordMask | PasidDirectoryEntry.FPD.WordMask;
        return (entry & ~(table | flags)) != 0 || (table & AboveHostAddresses) != 0 ? FaultReason.DirectoryReserved : 0;
    }

    /// <summary>A PASID table entry.</summary>
    public int CheckEntry(ReadOnlySpan<ulong> words)
    {
        if (words.Get(PasidEntry.P) == 0)
        {
            return FaultReason.EntryNotPresent;
        }

        ulong reserved = 0;
        for (int i = 0; i < PasidEntry.Words; i++)
        {
            reserved |= words[i] & s_entryReserved[i];
        }

        reserved |= words.Get(PasidEntry.DID) >> DomainIdBits;
        reserved |= Absent(s_entryNeeds, words);
        reserved |= Unless(Ecap.HPTS, words[4] | words[5]);
        if (reserved != 0)
        {
            return FaultReason.EntryReserved;
        }

        return CheckType(words);
    }

    /// <summary>Whether the address can be translated by the entry at all.</summary>
    public static int CheckAddress(ReadOnlySpan<ulong> words, ulong address)
    {
        ulong type = words.Get(PasidEntry.PGTT);
        if (type is PasidEntry.FirstStage or PasidEntry.Nested)
        {
            // The bits above the table's must repeat its highest one.
            int unused = words.Get(PasidEntry.FSPM) == 1 ? 64 - 57 : 64 - 48;
            return (ulong)((long)(address << unused) >> unused) == address ? 0 : FaultReason.NonCanonical;
        }

        return type == PasidEntry.SecondStage && address >> SecondStageBits(words) != 0 ? FaultReason.BeyondWidth : 0;
    }

    /// <summary>Address bits of a second stage: AW 1 is 39, 2 is 48, 3 is 57.</summary>
    public static int SecondStageBits(ReadOnlySpan<ulong> words) => 30 + (9 * (int)words.Get(PasidEntry.AW));

    /// <summary>A first-stage entry at a level, 1 the lowest.</summary>
    public int CheckFirstStage(ulong entry, int level)
    {
        if (entry.Get(X86Entry.P) == 0)
        {
            return FaultReason.FirstStageNotPresent;
        }

        bool large = entry.Get(X86Entry.PS) == 1 && level > 1;
        bool wrong = (entry & X86Entry.ADDR.WordMask & AboveHostAddresses) != 0
            || (large && (level > 3 || (level == 3 && cap.Get(Cap.FS1GP) == 0)
                || (entry & LowBits(level) & ~0x1FFFUL) != 0));
        return wrong ? FaultReason.FirstStageReserved : 0;
    }

    /// <summary>A second-stage entry at a level, 1 the lowest.</summary>
    public int CheckSecondStage(ulong entry, int level)
    {
        if (entry.Get(VtdSecondStageEntry.R) == 0 && entry.Get(VtdSecondStageEntry.W) == 0)
        {
            return FaultReason.SecondStagePermission;
        }

        bool large = entry.Get(VtdSecondStageEntry.PS) == 1 && level > 1;
        bool leaf = large || level == 1;
        ulong sizes = cap.Get(Cap.SSLPS);
        bool wrong = (entry & VtdSecondStageEntry.ADDR.WordMask & AboveHostAddresses) != 0
            || (!leaf && entry.Get(VtdSecondStageEntry.SNP) == 1)
            || (large && (level > 3 || ((sizes >> (level - 2)) & 1) == 0 || (entry & LowBits(level) & ~0xFFFUL) != 0));
        return wrong ? FaultReason.SecondStageReserved : 0;
    }

    /// <summary>The bits of an address below a page of a level.</summary>
    public static ulong LowBits(int level) => (1UL << (12 + (9 * (level - 1)))) - 1;

    private static int PasidBitsOf(ReadOnlySpan<ulong> context) =>
        (int)context.Get(ContextEntry.PDTS) + ContextEntry.MinPasidBits;

    private int CheckType(ReadOnlySpan<ulong> words)
    {
        ulong type = words.Get(PasidEntry.PGTT);
        bool first = type is PasidEntry.FirstStage or PasidEntry.Nested;
        bool second = type is PasidEntry.SecondStage or PasidEntry.Nested;
        if (!IsTypeSupported(type)
            || (second && !IsWidthSupported(words.Get(PasidEntry.AW)))
            || (first && !IsModeSupported(words.Get(PasidEntry.FSPM))))
        {
            return FaultReason.EntryInvalid;
        }

        ulong table = words.GetAddress(PasidEntry.FSPTPTR);
        if (type == PasidEntry.Nested)
        {
            if (table >> GuestBits(words) != 0)
            {
                return FaultReason.EntryInvalid;
            }
        }
        else if (first && (table & AboveHostAddresses) != 0)
        {
            return FaultReason.TableBeyondHostAddresses;
        }

        return second && (words.GetAddress(PasidEntry.SSPTPTR) & AboveHostAddresses) != 0
            ? FaultReason.EntryReserved
            : 0;
    }

    private int DomainIdBits => 4 + (2 * (int)cap.Get(Cap.ND));

    private int GuestBits(ReadOnlySpan<ulong> words) => Math.Min((int)cap.Get(Cap.MGAW) + 1, SecondStageBits(words));

    private bool IsTypeSupported(ulong type) => type switch
    {
        PasidEntry.FirstStage => Has(Ecap.FSTS),
        PasidEntry.SecondStage => Has(Ecap.SSTS),
        PasidEntry.Nested => Has(Ecap.NEST) && Has(Ecap.FSTS) && Has(Ecap.SSTS),
        PasidEntry.PassThrough => Has(Ecap.PT),
        _ => false,
    };

    private bool IsWidthSupported(ulong width) =>
        width is >= 1 and <= 3 && ((cap.Get(Cap.SAGAW) >> (int)width) & 1) == 1;

    private bool IsModeSupported(ulong mode) => mode == 0 || (mode == 1 && cap.Get(Cap.FS5LP) == 1);

    // What is set of the fields of absent capabilities.
    private ulong Absent((Field Capability, Field Field)[] needs, ReadOnlySpan<ulong> words)
    {
        ulong set = 0;
        foreach ((Field capability, Field field) in needs)
        {
            set |= Unless(capability, words.Get(field));
        }

        return set;
    }

    // A field of a capability that is absent is reserved.
    private ulong Unless(Field capability, ulong value) => Has(capability) ? 0 : value;
}
