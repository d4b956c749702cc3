using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.IntelVtd.Registers;
using PasidFramework.Hardware;
using PasidFramework.Records;

namespace PasidFramework.Drivers.IntelVtd.Hardware;

/// <content>The walk from root table to PASID entry. Sections 9.2 to 9.6.</content>
internal partial class VtdHardware
{
    // What a table pointer may not have set: bits above the host address width.
    private ulong AboveHostAddresses => ulong.MaxValue << _hostAddressBits;

    /// <summary>Finds the page table of one access.</summary>
    /// <param name="access">The access; its requester is a PCI one.</param>
    protected virtual WalkResult Walk(in DmaAccess access)
    {
        ulong rtaddr = Volatile.Read(ref _latchedRtaddr);
        ulong mode = rtaddr.Field(RootTableAddress.TTM);
        if (mode == RootTableAddress.AbortMode)
        {
            return WalkResult.OfFault(FaultReason.AbortMode);
        }

        if (mode == RootTableAddress.LegacyMode && access.Pasid is not null)
        {
            return WalkResult.OfFault(FaultReason.PasidInLegacyMode);
        }

        ulong root = rtaddr & RootTableAddress.RTA.WordMask;
        if (mode != RootTableAddress.ScalableMode || (rtaddr & ~(root | RootTableAddress.TTM.WordMask)) != 0
            || (root & AboveHostAddresses) != 0)
        {
            return WalkResult.OfFault(FaultReason.RootTableAddress);
        }

        Span<ulong> context = stackalloc ulong[ContextEntry.Words];
        int fault = ReadContextEntry(access.Requester, root, context);
        bool quiet = context.Get(ContextEntry.FPD) == 1;
        if (fault == 0)
        {
            fault = SelectPasid(access.Pasid, context, out uint pasid);
            if (fault == 0)
            {
                return WalkPasid(context.GetAddress(ContextEntry.PASIDDIRPTR), pasid, access.Address, quiet);
            }
        }

        return WalkResult.OfFault(fault, quiet);
    }

    private int ReadContextEntry(RequesterId requester, ulong root, Span<ulong> context)
    {
        context.Clear();
        ulong at = root + ((ulong)requester.Bus * RootEntry.SizeBytes);
        if (!WalkerMemory.IsBacked(at, RootEntry.SizeBytes))
        {
            return FaultReason.RootAccess;
        }

        // The lower half of the entry serves the lower half of the bus; the halves have the same form.
        ulong half = WalkerMemory.ReadQword(at + (requester.DevFn >= 0x80 ? 8u : 0u));
        if (half.Field(RootEntry.LP) == 0)
        {
            return FaultReason.RootNotPresent;
        }

        ulong table = half & RootEntry.LCTP.WordMask;
        if ((half & ~(table | RootEntry.LP.WordMask)) != 0 || (table & AboveHostAddresses) != 0)
        {
            return FaultReason.RootReserved;
        }

        at = table + ((ulong)(requester.DevFn & 0x7F) * ContextEntry.SizeBytes);
        if (!ReadEntry(at, context))
        {
            return FaultReason.ContextAccess;
        }

        if (context.Get(ContextEntry.P) == 0)
        {
            return FaultReason.ContextNotPresent;
        }

        ulong reserved = 0;
        for (int i = 0; i < ContextEntry.Words; i++)
        {
            reserved |= context[i] & s_contextReserved[i];
        }

        reserved |= context.GetAddress(ContextEntry.PASIDDIRPTR) & AboveHostAddresses;
        reserved |= Unless(Ecap.DT, context.Get(ContextEntry.DTE));
        reserved |= Unless(Ecap.PASID, context.Get(ContextEntry.PASIDE));
        reserved |= Unless(Ecap.PRS, context.Get(ContextEntry.PRE));
        reserved |= Unless(Ecap.RPS, context.Get(ContextEntry.RID_PASID));
        if (reserved != 0)
        {
            return FaultReason.ContextReserved;
        }

        bool valid = (context.Get(ContextEntry.PRE) == 0 || context.Get(ContextEntry.DTE) == 1)
            && context.Get(ContextEntry.RID_PASID) >> PasidBitsOf(context) == 0;
        return valid ? 0 : FaultReason.ContextInvalid;
    }

    private int SelectPasid(Pasid? requested, ReadOnlySpan<ulong> context, out uint pasid)
    {
        // Without ECAP.RPS the field is reserved, was found 0 above, and 0 is what hardware uses.
        uint ridPasid = (uint)context.Get(ContextEntry.RID_PASID);
        pasid = ridPasid;
        if (requested is not { } given)
        {
            return 0;
        }

        pasid = given.Value;
        if (ExtendedCapabilities.Field(Ecap.PASID) == 0
            || pasid >> ((int)ExtendedCapabilities.Field(Ecap.PSS) + 1) != 0)
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

    private WalkResult WalkPasid(ulong directory, uint pasid, ulong address, bool quiet)
    {
        ulong at = directory + ((ulong)(pasid >> 6) * PasidDirectoryEntry.SizeBytes);
        if (!WalkerMemory.IsBacked(at, PasidDirectoryEntry.SizeBytes))
        {
            return WalkResult.OfFault(FaultReason.DirectoryAccess, quiet);
        }

        ulong entry = WalkerMemory.ReadQword(at);
        quiet |= entry.Field(PasidDirectoryEntry.FPD) == 1;
        if (entry.Field(PasidDirectoryEntry.P) == 0)
        {
            return WalkResult.OfFault(FaultReason.DirectoryNotPresent, quiet);
        }

        ulong table = entry & PasidDirectoryEntry.SMPTBLPTR.WordMask;
        ulong flags = PasidDirectoryEntry.P.WordMask | PasidDirectoryEntry.FPD.WordMask;
        if ((entry & ~(table | flags)) != 0 || (table & AboveHostAddresses) != 0)
        {
            return WalkResult.OfFault(FaultReason.DirectoryReserved, quiet);
        }

        Span<ulong> words = stackalloc ulong[PasidEntry.Words];
        if (!ReadEntry(table + ((pasid & 63) * PasidEntry.SizeBytes), words))
        {
            return WalkResult.OfFault(FaultReason.EntryAccess, quiet);
        }

        quiet |= words.Get(PasidEntry.FPD) == 1;
        int fault = CheckPasidEntry(words, address);
        if (fault != 0)
        {
            return WalkResult.OfFault(fault, quiet);
        }

        return words.Get(PasidEntry.PGTT) == PasidEntry.PassThrough
            ? WalkResult.OfPassThrough()
            : WalkResult.OfPageTable(words.GetAddress(PasidEntry.FSPTPTR), (uint)words.Get(PasidEntry.DID), pasid);
    }

    private int CheckPasidEntry(ReadOnlySpan<ulong> words, ulong address)
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

        int domainIdBits = 4 + (2 * (int)Capabilities.Field(Cap.ND));
        reserved |= words.Get(PasidEntry.DID) >> domainIdBits;
        reserved |= Unless(Ecap.SMPWCS, words.Get(PasidEntry.PWSNP));
        reserved |= Unless(Ecap.SC, words.Get(PasidEntry.PGSNP));
        reserved |= Unless(Ecap.SRS, words.Get(PasidEntry.SRE));
        if (reserved != 0)
        {
            return FaultReason.EntryReserved;
        }

        // Second stage and nesting need ECAP.SSTS and NEST, 5-level tables CAP.FS5LP: this hardware has none of them.
        ulong type = words.Get(PasidEntry.PGTT);
        if (type == PasidEntry.PassThrough && ExtendedCapabilities.Field(Ecap.PT) == 1)
        {
            return 0;
        }

        if (type != PasidEntry.FirstStage || ExtendedCapabilities.Field(Ecap.FSTS) == 0
            || words.Get(PasidEntry.FSPM) != 0)
        {
            return FaultReason.EntryInvalid;
        }

        if ((words.GetAddress(PasidEntry.FSPTPTR) & AboveHostAddresses) != 0)
        {
            return FaultReason.TableBeyondHostAddresses;
        }

        // 4-level tables translate 48 bits; the bits above must repeat bit 47.
        return (ulong)((long)(address << 16) >> 16) == address ? 0 : FaultReason.NonCanonical;
    }

    private static int PasidBitsOf(ReadOnlySpan<ulong> context) =>
        (int)context.Get(ContextEntry.PDTS) + ContextEntry.LeastPasidBits;

    // A field of a capability that is absent is reserved.
    private ulong Unless(Field capability, ulong value) =>
        ExtendedCapabilities.Field(capability) == 1 ? 0 : value;

    private bool ReadEntry(ulong at, Span<ulong> words)
    {
        words.Clear();
        if (!WalkerMemory.IsBacked(at, words.Length * 8L))
        {
            return false;
        }

        for (int i = 0; i < words.Length; i++)
        {
            words[i] = WalkerMemory.ReadQword(at + ((ulong)i * 8));
        }

        return true;
    }

    private static readonly ulong[] s_contextReserved = ReservedBits(
        ContextEntry.Layout, ContextEntry.HPTE, ContextEntry.EPTR, ContextEntry.RID_PRIV);

    private static readonly ulong[] s_entryReserved = ReservedBits(
        PasidEntry.Layout,
        PasidEntry.SSADE,
        PasidEntry.CD,
        PasidEntry.EMTE,
        PasidEntry.EAFE,
        PasidEntry.HPTSZ,
        PasidEntry.HPTPFD,
        PasidEntry.HPTPTR,
        PasidEntry.HPTDID);

    // Reserved ranges, and the fields of capabilities that this hardware never has.
    private static ulong[] ReservedBits(Layout layout, params Field[] absent)
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

        foreach (Field field in absent)
        {
            bits[field.Word] |= field.WordMask;
        }

        return bits;
    }

    /// <summary>Where a walk ended.</summary>
    /// <param name="Fault">The fault reason, 0 for none.</param>
    /// <param name="IsQuiet">Whether an FPD bit on the way suppresses the record.</param>
    /// <param name="PageTableRoot">Address of the first-stage table.</param>
    /// <param name="IsPassThrough">Whether the access passes untranslated.</param>
    /// <param name="DomainId">Tag of its translations.</param>
    /// <param name="Pasid">The PASID that was looked up.</param>
    protected readonly record struct WalkResult(
        int Fault, bool IsQuiet, ulong PageTableRoot, bool IsPassThrough, uint DomainId, uint Pasid)
    {
        /// <summary>A walk that failed.</summary>
        public static WalkResult OfFault(int fault, bool quiet = false) => new(fault, quiet, 0, false, 0, 0);

        /// <summary>A walk that reached a pass-through entry.</summary>
        public static WalkResult OfPassThrough() => new(0, false, 0, true, 0, 0);

        /// <summary>A walk that reached a page table.</summary>
        public static WalkResult OfPageTable(ulong root, uint domainId, uint pasid) =>
            new(0, false, root, false, domainId, pasid);
    }
}
