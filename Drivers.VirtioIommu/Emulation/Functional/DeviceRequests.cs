// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

// OASIS virtio 1.2 to 1.4, IOMMU device, "Device operations": what each request must answer. What the proposals should
// answer is nowhere written; they follow the standard's rules for the like (reserved and unknown bits INVAL, unknown
// endpoint or domain NOENT, values beyond a limit RANGE).

/// <summary>Carries requests out, the standard's and those of one proposal. Not safe for concurrent use.</summary>
/// <param name="isCoherent">Whether the device snoops, for the identification that proposal E probes.</param>
internal sealed class DeviceRequests(
    HardwareOptions options, int pasidBits, bool isCoherent, DeviceDomains domains, AttachedStructures? arm,
    IDeviceWatcher? watcher)
{
    public const int ProbeBytes = 64;

    /// <summary>Pages that can be mapped: 4 KiB, 2 MiB, 1 GiB.</summary>
    public const ulong PageSizes = (1UL << 12) | (1UL << 21) | (1UL << 30);

    public const ulong MsiFirst = 0x0800_0000;
    public const ulong MsiLast = 0x080F_FFFF;
    private const int Unusable = -1;

    // Config of a stream table entry, Arm IHI 0070 5.2: stage 1 translates, stage 2 is bypassed.
    private const ulong StageOneAlone = 5;
    private static readonly ulong[] s_attachReserved = ReservedBits(AttachRequest.Layout);
    private static readonly ulong[] s_detachReserved = ReservedBits(DetachRequest.Layout, FieldKind.Ignored);
    private static readonly ulong[] s_unmapReserved = ReservedBits(UnmapRequest.Layout);
    private static readonly ulong[] s_probeReserved = ReservedBits(ProbeRequest.Layout);
    private static readonly ulong[] s_attachBReserved = ReservedBits(ProposalBAttachPstArm.Layout);
    private static readonly ulong[] s_attachEReserved = ReservedBits(ProposalEAttachArmSmmu3.Layout);
    private static readonly ulong[] s_invalidateBReserved = ReservedBits(ProposalBInvalidate.Layout);
    private static readonly ulong[] s_invalidateEReserved = ReservedBits(ProposalEInvalidate.Layout);
    private readonly byte[] _answer = new byte[ProbeBytes + RequestTail.Bytes];
    private int _failsIn = -1;
    private RequestStatus _failure;

    /// <summary>The features that were negotiated.</summary>
    public ulong Features { get; set; }

    /// <summary>The answer to the last request, of the length that <see cref="Handle"/> gave.</summary>
    public ReadOnlySpan<byte> Answer => _answer;

    public bool Has(ulong feature) => (Features & feature) != 0;

    /// <summary>Makes a later request, other than PROBE, fail without being carried out.</summary>
    /// <param name="requestsBefore">How many are carried out before it.</param>
    public void FailLater(int requestsBefore, RequestStatus status) => (_failsIn, _failure) = (requestsBefore, status);

    /// <summary>Carries one request out and writes its <see cref="Answer"/>.</summary>
    /// <returns>Bytes to write; 0 for a request that is not recognised; negative where the chain cannot hold
    /// it.</returns>
    public int Handle(ReadOnlySpan<byte> request, long writableBytes)
    {
        if (request.Length < 1 || writableBytes < RequestTail.Bytes)
        {
            return Unusable;
        }

        Span<ulong> words = stackalloc ulong[TableDialect.MaxWords];
        RequestHead.Load(request, words);
        var type = (RequestType)words.Get(RequestHead.Type);
        Observe(type, request.Length, writableBytes);
        if (type == RequestType.Probe)
        {
            // Without PROBE negotiated the type does not exist.
            return Has(FeatureBits.Probe) ? Probe(request, words, writableBytes) : 0;
        }

        if (_failsIn >= 0 && _failsIn-- == 0)
        {
            Tail(_failure, 0);
            return RequestTail.Bytes;
        }

        RequestStatus? status = type switch
        {
            RequestType.Attach => Attach(request, words),
            RequestType.Detach => Detach(request, words),
            RequestType.Map => Map(request, words),
            RequestType.Unmap => Unmap(request, words),
            RequestType.AttachTable => AttachTable(request, words),
            RequestType.Invalidate => Invalidate(request, words),
            _ => null,
        };
        if (status is null)
        {
            return 0;
        }

        Tail(status.Value, 0);
        return RequestTail.Bytes;
    }

    // What the answer does not tell: the driver used what was not negotiated.
    private void Observe(RequestType type, int length, long writableBytes)
    {
        TableDialect? dialect = options.Dialect;
        ulong tables = dialect?.AttachFeature ?? 0;
        (int known, ulong needed) = type switch
        {
            RequestType.Attach => (AttachRequest.DriverBytes, FeatureBits.Version1),
            RequestType.Detach => (DetachRequest.DriverBytes, FeatureBits.Version1),
            RequestType.Map => (MapRequest.DriverBytes, FeatureBits.MapUnmap),
            RequestType.Unmap => (UnmapRequest.DriverBytes, FeatureBits.MapUnmap),
            RequestType.Probe => (ProbeRequest.DriverBytes, FeatureBits.Probe),
            RequestType.AttachTable => (dialect?.AttachBytes ?? length, tables),
            RequestType.Invalidate => (dialect?.InvalidateBytes ?? length, tables),
            _ => (length, 0UL),
        };
        long answer = type == RequestType.Probe ? ProbeBytes + RequestTail.Bytes : RequestTail.Bytes;
        if (length > known || writableBytes > answer)
        {
            watcher?.ReportViolation("virtio-request-length",
                $"type {(int)type} has {known} bytes and {answer} to answer, offered are {length} and {writableBytes}");
        }

        if (!Has(needed))
        {
            watcher?.ReportViolation("virtio-not-negotiated",
                $"request type {(int)type} needs a feature that was not negotiated (features 0x{Features:x})");
        }
    }

    private RequestStatus Attach(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < AttachRequest.DriverBytes || HasReserved(s_attachReserved, words))
        {
            return RequestStatus.Inval;
        }

        var flags = (uint)words.Get(AttachRequest.Flags);
        uint known = Has(FeatureBits.BypassConfig) ? AttachRequest.FlagBypass : 0;
        if ((flags & ~known) != 0)
        {
            return RequestStatus.Inval;
        }

        bool bypass = (flags & AttachRequest.FlagBypass) != 0;
        return Join(words, bypass, table: null);
    }

    private RequestStatus? AttachTable(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (options.Dialect is not { } dialect || !Has(dialect.AttachFeature))
        {
            return null;
        }

        ulong[] reserved = dialect is V09Dialect ? s_attachBReserved : s_attachEReserved;
        if (request.Length < dialect.AttachBytes || HasReserved(reserved, words))
        {
            return RequestStatus.Inval;
        }

        if (arm is null)
        {
            return RequestStatus.Unsupp;
        }

        DeviceTable table;
        if (dialect is V09Dialect)
        {
            if (words.Get(ProposalBAttachPstArm.Format) != ProposalBAttachPstArm.FormatArmSmmuV3)
            {
                return RequestStatus.Unsupp;
            }

            ulong width = words.Get(ProposalBAttachPstArm.S1CdMax);
            table = new DeviceTable(
                (int)words.Get(ProposalBAttachPstArm.S1Fmt),
                words.Get(ProposalBAttachPstArm.S1ContextPtr),
                (int)Math.Min(width, 32),
                (int)words.Get(ProposalBAttachPstArm.S1Dss));
        }
        else
        {
            if (words.Get(ProposalEAttachArmSmmu3.Format) != ProposalEAttachArmSmmu3.FormatArmSmmu3)
            {
                return RequestStatus.Unsupp;
            }

            ReadOnlySpan<ulong> entry =
                [words.Get(ProposalEAttachArmSmmu3.Ste0), words.Get(ProposalEAttachArmSmmu3.Ste1)];
            if (entry.Get(arm.EntryV) == 0 || entry.Get(arm.EntryConfig) != StageOneAlone)
            {
                return RequestStatus.Inval;
            }

            // Section 5.2: EATS needs IDR0.ATS, and S1STALLD a STALL_MODEL of 0; neither is there.
            if ((entry.Get(arm.EntryEATS) | entry.Get(arm.EntryS1STALLD)) != 0)
            {
                watcher?.ReportViolation("virtio-stream-entry",
                    $"ste1 0x{entry[1]:x} asks for ATS or stalls, which the probed IDR0 does not have (IHI 0070 5.2)");
            }

            table = new DeviceTable(
                (int)entry.Get(arm.EntryS1Fmt),
                entry.GetAddress(arm.EntryS1ContextPtr),
                (int)entry.Get(arm.EntryS1CDMax),
                (int)entry.Get(arm.EntryS1DSS));
        }

        if (table.S1Fmt > 2 || table.S1Dss > 2 || (table.S1ContextPtr & 63) != 0)
        {
            return RequestStatus.Inval;
        }

        if (table.S1CdMax > pasidBits)
        {
            return RequestStatus.Range;
        }

        // Domain and endpoint are where the standard's ATTACH has them, in both proposals.
        return Join(words, bypass: false, table);
    }

    private RequestStatus Join(ReadOnlySpan<ulong> words, bool bypass, DeviceTable? table) => domains.Join(
        (uint)words.Get(RequestHead.Domain), (uint)words.Get(RequestHead.Endpoint), bypass, table);

    private RequestStatus Detach(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < DetachRequest.DriverBytes)
        {
            return RequestStatus.Inval;
        }

        if (HasReserved(s_detachReserved, words))
        {
            // No answer tells: what a device of this version ignores is not the driver's to use.
            watcher?.ReportViolation("virtio-unused-field", $"the reserved bytes of a DETACH are not 0");
        }

        var endpoint = (uint)words.Get(RequestHead.Endpoint);
        if (!options.Exists(endpoint))
        {
            return RequestStatus.NoEnt;
        }

        if (domains.FindOf(endpoint)?.Id != (uint)words.Get(RequestHead.Domain))
        {
            return RequestStatus.Inval;
        }

        domains.Leave(endpoint);
        return RequestStatus.Ok;
    }

    private RequestStatus Map(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < MapRequest.DriverBytes)
        {
            return RequestStatus.Inval;
        }

        uint known = MapRequest.FlagRead | MapRequest.FlagWrite
            | (options.Dialect is not V09Dialect && Has(FeatureBits.Mmio) ? MapRequest.FlagMmio : 0);
        var flags = (uint)words.Get(MapRequest.Flags);
        ulong start = words.Get(MapRequest.VirtStart);
        ulong last = words.Get(MapRequest.VirtEnd);
        ulong physical = words.Get(MapRequest.PhysStart);
        if ((flags & ~known) != 0 || last < start)
        {
            return RequestStatus.Inval;
        }

        if (domains.Find((uint)words.Get(RequestHead.Domain)) is not { } domain)
        {
            return RequestStatus.NoEnt;
        }

        if (!domain.HasMappings)
        {
            return RequestStatus.Inval;
        }

        // A last byte of 2^64 - 1 wraps to an aligned 0.
        const ulong Misaligned = (1UL << 12) - 1;
        if (((start | physical | unchecked(last + 1)) & Misaligned) != 0 || last > options.InputLast)
        {
            return RequestStatus.Range;
        }

        if (domain.Mappings.Values.Any(m => m.Start <= last && start <= m.Last))
        {
            return RequestStatus.Inval;
        }

        if (start <= MsiLast && last >= MsiFirst)
        {
            watcher?.ReportViolation("virtio-reserved-region",
                $"MAP of 0x{start:x} to 0x{last:x} meets the reserved 0x{MsiFirst:x} to 0x{MsiLast:x} (RESV_MEM)");
        }

        domain.Mappings.Add(start, new DeviceMapping(start, last, physical, flags));
        return RequestStatus.Ok;
    }

    private RequestStatus Unmap(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (request.Length < UnmapRequest.DriverBytes || HasReserved(s_unmapReserved, words))
        {
            return RequestStatus.Inval;
        }

        if (domains.Find((uint)words.Get(RequestHead.Domain)) is not { } domain)
        {
            return RequestStatus.NoEnt;
        }

        if (!domain.HasMappings)
        {
            return RequestStatus.Inval;
        }

        ulong start = words.Get(MapRequest.VirtStart);
        ulong last = words.Get(MapRequest.VirtEnd);
        DeviceMapping[] affected = [.. domain.Mappings.Values.Where(m => m.Start <= last && m.Last >= start)];
        if (Array.Exists(affected, m => m.Start < start || m.Last > last))
        {
            return RequestStatus.Range;
        }

        foreach (DeviceMapping mapping in affected)
        {
            domain.Mappings.Remove(mapping.Start);
        }

        watcher?.Unmapped(domain, start, last);
        return RequestStatus.Ok;
    }

    private RequestStatus? Invalidate(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words)
    {
        if (options.Dialect is not { } dialect || !Has(dialect.AttachFeature))
        {
            return null;
        }

        bool isB = dialect is V09Dialect;
        ulong[] reserved = isB ? s_invalidateBReserved : s_invalidateEReserved;
        if (request.Length < dialect.InvalidateBytes || HasReserved(reserved, words))
        {
            return RequestStatus.Inval;
        }

        DeviceInvalidation? decoded = isB ? DecodeB(words) : DecodeE(words);
        if (decoded is not { } what)
        {
            return RequestStatus.Inval;
        }

        if (domains.Find((uint)words.Get(ProposalBInvalidate.Domain)) is not { } domain)
        {
            return RequestStatus.NoEnt;
        }

        if (domain.Table is not { } table)
        {
            return RequestStatus.Inval;
        }

        if (what.Scope != InvalidationScope.Domain && words.Get(ProposalBInvalidate.Pasid) >> table.S1CdMax != 0)
        {
            return RequestStatus.Range;
        }

        ulong range = words.Get(ProposalBInvalidate.VirtStart) | words.Get(ProposalBInvalidate.NrPages)
            | words.Get(ProposalBInvalidate.Granule);
        if ((!what.Translations && words.Get(ProposalBInvalidate.Id) != 0)
            || (what.Scope != InvalidationScope.Pages && range != 0))
        {
            // Nothing says that a device passes over them.
            watcher?.ReportViolation("virtio-unused-field",
                $"an INVALIDATE of scope {what.Scope} has an id or a range that it does not use");
        }

        if (what.Scope == InvalidationScope.Pages)
        {
            // The fields of the range lie at the same bytes in both proposals.
            var granule = (int)words.Get(ProposalBInvalidate.Granule);
            if (granule > 63 || (PageSizes & (1UL << granule)) == 0)
            {
                return RequestStatus.Inval;
            }

            ulong first = words.Get(ProposalBInvalidate.VirtStart);
            if ((first & ((1UL << granule) - 1)) != 0)
            {
                return RequestStatus.Range;
            }

            ulong pages = words.Get(ProposalBInvalidate.NrPages);
            what = pages == 0 ? what : what with { First = first, Last = LastByte(first, pages, granule) };
        }

        // By itself the device caches nothing, so there is nothing to drop.
        watcher?.Invalidated(domain, what);
        return RequestStatus.Ok;
    }

    // CONFIG stands for table entries instead of translations. Entries have no addresses, so CONFIG with scope VA names
    // nothing. Nothing says whether the id is valid, so it always counts.
    private static DeviceInvalidation? DecodeB(ReadOnlySpan<ulong> words)
    {
        ulong flags = words.Get(ProposalBInvalidate.Flags);
        bool configuration = (flags & ProposalBInvalidate.FlagConfig) != 0;
        InvalidationScope? scope = words.Get(ProposalBInvalidate.Scope) switch
        {
            ProposalBInvalidate.ScopeDomain => InvalidationScope.Domain,
            ProposalBInvalidate.ScopePasid => InvalidationScope.Pasid,
            ProposalBInvalidate.ScopeVa when !configuration => InvalidationScope.Pages,
            _ => null,
        };
        const ulong Known = ProposalBInvalidate.FlagConfig | ProposalBInvalidate.FlagLeaf;
        return scope is null || (flags & ~Known) != 0
            ? null
            : new DeviceInvalidation(
                scope.Value, configuration, !configuration, (flags & ProposalBInvalidate.FlagLeaf) != 0,
                (uint)words.Get(ProposalBInvalidate.Pasid), words.Get(ProposalBInvalidate.Id),
                scope == InvalidationScope.Pages);
    }

    // A PASID without flag PASID is no PASID. Table entries have no addresses.
    private static DeviceInvalidation? DecodeE(ReadOnlySpan<ulong> words)
    {
        ulong flags = words.Get(ProposalEInvalidate.Flags);
        ulong caches = words.Get(ProposalEInvalidate.Caches);
        InvalidationScope? scope = words.Get(ProposalEInvalidate.Scope) switch
        {
            ProposalEInvalidate.ScopeDomain => InvalidationScope.Domain,
            ProposalEInvalidate.ScopePasid => InvalidationScope.Pasid,
            ProposalEInvalidate.ScopeAddress when caches == ProposalEInvalidate.CacheTlb => InvalidationScope.Pages,
            _ => null,
        };
        const ulong Known = (ulong)ProposalEInvalidate.FlagLeaf | ProposalEInvalidate.FlagPasid
            | ProposalEInvalidate.FlagId | ProposalEInvalidate.FlagGlobal;
        bool namesPasid = (flags & ProposalEInvalidate.FlagPasid) != 0;
        return scope is null || (flags & ~Known) != 0 || caches is 0 or > 3
            || (scope != InvalidationScope.Domain && !namesPasid)
            ? null
            : new DeviceInvalidation(
                scope.Value,
                (caches & ProposalEInvalidate.CachePasid) != 0,
                (caches & ProposalEInvalidate.CacheTlb) != 0,
                (flags & ProposalEInvalidate.FlagLeaf) != 0,
                (uint)words.Get(ProposalEInvalidate.Pasid),
                (flags & ProposalEInvalidate.FlagId) != 0 ? words.Get(ProposalEInvalidate.Id) : null,
                (flags & ProposalEInvalidate.FlagGlobal) != 0);
    }

    private static ulong LastByte(ulong first, ulong pages, int granule)
    {
        ulong most = ulong.MaxValue >> granule;
        return pages > most || (pages << granule) - 1 > ulong.MaxValue - first
            ? ulong.MaxValue
            : first + (pages << granule) - 1;
    }

    private int Probe(ReadOnlySpan<byte> request, ReadOnlySpan<ulong> words, long writableBytes)
    {
        if (writableBytes < ProbeBytes + RequestTail.Bytes)
        {
            return Unusable;
        }

        Array.Clear(_answer);
        RequestStatus status = request.Length < ProbeRequest.DriverBytes || HasReserved(s_probeReserved, words)
            ? RequestStatus.Inval
            : options.Exists((uint)words.Get(ProbeRequest.Endpoint)) ? RequestStatus.Ok : RequestStatus.NoEnt;
        if (status == RequestStatus.Ok)
        {
            WriteProperties(_answer);
        }

        Tail(status, ProbeBytes);
        return ProbeBytes + RequestTail.Bytes;
    }

    private void WriteProperties(Span<byte> answer)
    {
        Span<ulong> words = stackalloc ulong[3];
        words.Clear();
        words.Set(ResvMemProperty.Subtype, 1);
        words.Set(ResvMemProperty.Start, MsiFirst);
        words.Set(ResvMemProperty.End, MsiLast);
        int at = Append(answer, 0, ResvMemProperty.Layout, ResvMemProperty.TypeNumber, words);
        if (pasidBits == 0)
        {
            return;
        }

        words.Clear();
        if (options.Dialect is V09Dialect && Has(FeatureBits.ProposalBAttachTable))
        {
            words.Set(ProposalBPasidSizeProperty.Bits, (ulong)pasidBits);
            at = Append(answer, at, ProposalBPasidSizeProperty.Layout, ProposalBPasidSizeProperty.TypeNumber, words);
            words.Clear();
            words.Set(ProposalBPasidTableFormatProperty.Format, ProposalBAttachPstArm.FormatArmSmmuV3);
            Append(
                answer, at, ProposalBPasidTableFormatProperty.Layout, ProposalBPasidTableFormatProperty.TypeNumber,
                words);
        }
        else if (options.Dialect is VsmmuDialect && Has(FeatureBits.ProposalEAttachTable))
        {
            // IDR0: S1P 1, TTF 3:2 = 2 (AArch64), COHACC 4, ASID16 12, CD2L 19, STALL_MODEL 25:24 = 1 (none),
            // TERM_MODEL 26. IDR1: SSIDSIZE 10:6. IDR5: GRAN4K 4, OAS = 5.
            words.Set(
                ProposalEArmProperty.Idr0,
                (1u << 1) | (2u << 2) | (isCoherent ? 1u << 4 : 0) | (1u << 12) | (1u << 19) | (1u << 24) | (1u << 26));
            words.Set(ProposalEArmProperty.Idr1, (ulong)pasidBits << 6);
            words.Set(ProposalEArmProperty.Idr5, (1u << 4) | 5u);
            Append(answer, at, ProposalEArmProperty.Layout, ProposalEArmProperty.TypeNumber, words);
        }
    }

    private static int Append(Span<byte> answer, int at, Layout layout, int type, Span<ulong> words)
    {
        words.Set(ProbeProperty.Type, (ulong)type);
        words.Set(ProbeProperty.Length, (ulong)(layout.Bytes - ProbeProperty.HeadBytes));
        layout.ToBytes(words).CopyTo(answer[at..]);
        return at + layout.Bytes;
    }

    private void Tail(RequestStatus status, int offset)
    {
        _answer.AsSpan(offset, RequestTail.Bytes).Clear();
        _answer[offset] = (byte)status;
    }

    private static bool HasReserved(ulong[] mask, ReadOnlySpan<ulong> words)
    {
        for (int i = 0; i < mask.Length; i++)
        {
            if ((words[i] & mask[i]) != 0)
            {
                return true;
            }
        }

        return false;
    }

    private static ulong[] ReservedBits(Layout layout, FieldKind kind = FieldKind.Reserved)
    {
        var mask = new ulong[layout.Words];
        foreach (Field part in layout.Fields.Where(f => f.Kind == kind).SelectMany(f => f.Parts))
        {
            mask[part.Word] |= part.WordMask;
        }

        return mask;
    }
}
